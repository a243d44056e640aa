#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/setting_table.h"
#include "config/settings.h"

namespace sc::config {

// The environment's variables by name.
using Environment = std::map<std::string, std::string, std::less<>>;

// From environ(7): `NAME=value` texts, ended by a null pointer.
Environment copy_environment(const char* const* variables);

// Where settings are looked for; of two that give the same one the later wins.
struct Layers {
  std::string default_file;         // read if it exists
  std::optional<std::string> file;  // read instead; has to exist
  Environment environment;
  std::map<std::string, std::string, std::less<>> flags;  // by key
};

// Where `import` reads what the original service wrote, unless its arguments say otherwise.
struct ImportPlace {
  std::string directory = "/etc/nginx/stream.d/";
  std::string prefix = "_conductor_";
};

struct Loaded {
  Settings settings;
  Sources sources;
  ImportPlace import_place;
  std::vector<std::string> notes;   // sentences for the log: accepted, but not as one may expect
  std::vector<std::string> errors;  // all of them; `settings` counts only if there are none
};

Loaded load(const Layers& layers);

}  // namespace sc::config
