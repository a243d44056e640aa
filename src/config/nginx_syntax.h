#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sc::config {

// `name argument ...;` or `name argument ... { body }`, whatever it means. At least one word.
struct NginxDirective {
  std::vector<std::string> words;
  unsigned line = 0;  // of the first word
  bool is_block = false;
  std::vector<NginxDirective> body;
};

// As it would stand in one line: `listen 9000 udp;`, `server { ... }`.
std::string to_string(const NginxDirective& directive);

struct NginxFile {
  struct Fault {
    NginxDirective at;
    std::string why;
  };
  std::vector<NginxDirective> directives;  // those that are complete
  std::optional<Fault> fault;              // where reading ended early
};

// nginx's own rules for words, quotes and comments (ngx_conf_read_token). Pure.
NginxFile parse_nginx_file(std::string_view text);

}  // namespace sc::config
