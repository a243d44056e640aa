#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "net/address.h"

namespace sc::net {

// The names of a hosts(5) file, sorted once: block lists have 100,000 names and more, and thousands
// of names are looked for.
class HostsIndex {
 public:
  static constexpr std::size_t kMostAddresses = 32;  // of a name

  HostsIndex() = default;  // of an empty file
  // Of at most 4 GiB; what follows is ignored.
  explicit HostsIndex(std::string_view text);

  // Returns the addresses of a name: in the order of the file, port 0, at most kMostAddresses.
  // `name` is in lower case without a dot at the end. Lines of the same name add up, as with
  // `multi on` of host.conf(5).
  std::vector<Address> find(std::string_view name) const;

 private:
  struct Word {  // of text_
    std::uint32_t start = 0;
    std::uint32_t size = 0;
  };
  struct Entry {
    Word name;
    Word ip;
  };

  void add_line(std::size_t start, std::size_t end);
  std::string_view at(const Word& word) const {
    return std::string_view(text_).substr(word.start, word.size);
  }

  std::string text_;            // names in lower case
  std::vector<Entry> entries_;  // by name, those of one name in the order of the file
};

// Returns whether the name is `localhost` or below it, which stays on the host (RFC 6761 section
// 6.3).
bool is_localhost(std::string_view name);
// Is it below `invalid`, where no name exists (RFC 6761 section 6.4)?
bool is_invalid(std::string_view name);

}  // namespace sc::net
