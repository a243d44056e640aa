#include "net/resolver/hosts_file.h"

#include <algorithm>

#include "base/text.h"

namespace sc::net {
namespace {

constexpr std::string_view kBlank = " \t\r";

std::string_view without_root(std::string_view name) {
  if (!name.empty() && name.back() == '.') name.remove_suffix(1);
  return name;
}

bool is_at_or_below(std::string_view name, const std::string& domain) {
  const std::string lower = base::to_lower(without_root(name));
  return lower == domain || lower.ends_with("." + domain);
}

}  // namespace

HostsIndex::HostsIndex(std::string_view text) : text_(text.substr(0, UINT32_MAX)) {
  for (std::size_t start = 0; start < text_.size();) {
    const std::size_t end = std::min(text_.find('\n', start), text_.size());
    add_line(start, end);
    start = end + 1;
  }
  std::sort(entries_.begin(), entries_.end(), [this](const Entry& one, const Entry& other) {
    const int order = at(one.name).compare(at(other.name));
    return order != 0 ? order < 0 : one.name.start < other.name.start;
  });
}

// The words of a line up to a comment: an address and its names.
void HostsIndex::add_line(std::size_t start, std::size_t end) {
  const std::string_view line = std::string_view(text_).substr(0, end);
  end = std::min(line.find('#', start), end);
  Word ip;
  while (true) {
    start = std::min(line.find_first_not_of(kBlank, start), end);
    if (start == end) return;
    const std::size_t word_end = std::min(line.find_first_of(kBlank, start), end);
    const Word word{static_cast<std::uint32_t>(start),
                    static_cast<std::uint32_t>(word_end - start)};
    start = word_end;
    if (ip.size == 0) {
      ip = word;
      continue;
    }
    text_.replace(word.start, word.size, base::to_lower(at(word)));
    const auto size = static_cast<std::uint32_t>(without_root(at(word)).size());
    entries_.push_back({{word.start, size}, ip});
  }
}

std::vector<Address> HostsIndex::find(std::string_view name) const {
  std::vector<Address> found;
  name = without_root(name);
  auto entry = std::lower_bound(
      entries_.begin(), entries_.end(), name,
      [this](const Entry& each, std::string_view wanted) { return at(each.name) < wanted; });
  for (; entry != entries_.end() && at(entry->name) == name && found.size() < kMostAddresses;
       ++entry)
    if (auto address = Address::parse_ip(at(entry->ip), 0);
        address && std::find(found.begin(), found.end(), *address) == found.end())
      found.push_back(*address);
  return found;
}

bool is_localhost(std::string_view name) { return is_at_or_below(name, "localhost"); }

bool is_invalid(std::string_view name) { return is_at_or_below(name, "invalid"); }

}  // namespace sc::net
