#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/settings.h"

namespace sc::config {

// One setting, described once: flags, environment, file, --print-config and --help follow from it.
struct Setting {
  std::string_view key;          // as in the configuration file
  std::string_view placeholder;  // stands for the value in --help
  std::string_view allowed;      // completes "allowed: "
  std::string_view description;
  bool (*parse)(std::string_view text, Settings& into);  // false: not allowed, `into` is as before
  std::string (*print)(const Settings& from);            // as parse reads it
  // What of the environment variable's value counts; all of it where there is no function.
  std::string_view (*of_environment)(std::string_view value) = nullptr;
  bool is_switch = false;  // its flag may stand without a value, for `true`
};

std::span<const Setting> setting_table();
const Setting* find_setting(std::string_view key);  // nullptr: there is none

std::string environment_name(const Setting& setting);  // PORT_RANGE
std::string flag_name(const Setting& setting);         // --port-range

// Where each setting's value came from, by key: `default`, `file PATH`, `environment PORT_RANGE`,
// `flag --port-range`.
using Sources = std::map<std::string, std::string, std::less<>>;

struct ShownSetting {
  std::string key;
  std::string value;
  std::string source;
  bool operator==(const ShownSetting&) const = default;
};

// Those whose value is not the default's, in the order of the table; for the log.
std::vector<ShownSetting> differing(const Settings& settings, const Sources& sources);

// A line for each setting, `bind_port = 5000  # default`: a configuration file that gives the same.
std::string print_config(const Settings& settings, const Sources& sources);

}  // namespace sc::config
