#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sc::config {

// What a configuration file says, before anybody asked what it means. Lines count from 1.
struct ConfigFile {
  struct Entry {
    std::string key;
    std::string value;  // unquoted
    unsigned line = 0;
  };
  struct Fault {
    unsigned line = 0;
    std::string why;
  };
  std::vector<Entry> entries;
  std::vector<Fault> faults;
};

// Reads `key = value` lines of TOML 1.0: strings in " or ' and comments by its rules. A word of
// letters, digits and `_-+.:,/` needs no quotes, as in `keepalive = 60s`. Tables, lists and strings
// over several lines are faults, for no setting has a use for them; so is a key given twice.
//
// CLI11's own reader is not used: version 2.1 ends a value at a '#' within quotes, takes a line
// without '=' for a flag that is set, joins repeated keys, and knows no line numbers.
ConfigFile parse_config_file(std::string_view text);

}  // namespace sc::config
