#include "net/resolver/hosts_file.h"

#include <algorithm>

#include "base/text.h"

namespace sc::net {
namespace {

constexpr std::string_view kBlank = " \t\r";

std::string_view take_word(std::string_view& line) {
  const std::size_t start = std::min(line.find_first_not_of(kBlank), line.size());
  line.remove_prefix(start);
  const std::size_t end = std::min(line.find_first_of(kBlank), line.size());
  const std::string_view word = line.substr(0, end);
  line.remove_prefix(end);
  return word;
}

bool is_same(std::string_view word, std::string_view lower) {
  return word.size() == lower.size() && base::to_lower(word) == lower;
}

bool is_at_or_below(std::string_view name, const std::string& domain) {
  if (!name.empty() && name.back() == '.') name.remove_suffix(1);
  const std::string lower = base::to_lower(name);
  return lower == domain || lower.ends_with("." + domain);
}

}  // namespace

std::vector<Address> find_in_hosts(std::string_view text, std::string_view name) {
  std::vector<Address> found;
  while (!text.empty() && found.size() < kMostHostsAddresses) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    line = line.substr(0, line.find('#'));
    const std::string_view ip = take_word(line);
    for (auto word = take_word(line); !word.empty(); word = take_word(line)) {
      if (!is_same(word, name)) continue;
      if (auto address = Address::parse_ip(ip, 0);
          address && std::find(found.begin(), found.end(), *address) == found.end())
        found.push_back(*address);
      break;
    }
  }
  return found;
}

bool is_localhost(std::string_view name) { return is_at_or_below(name, "localhost"); }

bool is_invalid(std::string_view name) { return is_at_or_below(name, "invalid"); }

}  // namespace sc::net
