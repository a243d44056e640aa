#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>

#include "config/config_file.h"
#include "config/setting_table.h"
#include "config/settings.h"
#include "fuzz/require.h"

// A configuration file's text: each line is an entry or a fault or says nothing, and the settings
// that come of it print as a file that gives the same ones.

using namespace sc;
using fuzz::require;

namespace {

void check_lines(const config::ConfigFile& file, std::string_view text) {
  const auto lines = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) + 1;
  std::set<unsigned> numbers;
  std::set<std::string> keys;
  const auto check_number = [&](unsigned number) {
    require(number >= 1 && number <= lines, "a line's number is in the file");
    require(numbers.insert(number).second, "a line is one entry or one fault");
  };
  for (const auto& entry : file.entries) {
    check_number(entry.line);
    require(!entry.key.empty() && keys.insert(entry.key).second, "a key is given once");
    require(entry.value.find('\0') == std::string::npos, "no value has a NUL");
  }
  for (const auto& fault : file.faults) {
    check_number(fault.line);
    require(!fault.why.empty(), "a fault says why");
  }
}

config::Settings settings_of(const config::ConfigFile& file, bool all_are_good) {
  config::Settings settings;
  for (const auto& entry : file.entries) {
    const config::Setting* setting = config::find_setting(entry.key);
    require(setting != nullptr || !all_are_good, "what is printed has known keys");
    if (setting == nullptr) continue;
    const config::Settings before = settings;
    if (!setting->parse(entry.value, settings)) {
      require(!all_are_good, "what is printed has good values");
      require(settings == before, "a bad value changes nothing");
    }
  }
  return settings;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const config::ConfigFile file = config::parse_config_file(text);
  check_lines(file, text);
  const config::Settings settings = settings_of(file, false);
  config::Sources sources;
  for (const config::Setting& setting : config::setting_table())
    sources.emplace(std::string(setting.key), "default");
  const config::ConfigFile again =
      config::parse_config_file(config::print_config(settings, sources));
  require(again.faults.empty(), "what is printed is read without a fault");
  require(settings_of(again, true) == settings, "what is printed gives the same settings");
  return 0;
}
