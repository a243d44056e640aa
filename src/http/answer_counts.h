#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <string>

namespace sc::http {

// Which route a request went to; both empty: none, as it was refused before, or there is none.
struct RouteName {
  std::string method;                                  // the route's: GET for HEAD too
  std::string pattern;                                 // `/v1/streams/{port}`
  auto operator<=>(const RouteName&) const = default;  // NOLINT: its 0 is no pointer
};

// How often each route answered with each status; as many entries as there are of both, whatever
// clients ask for. One thread.
class AnswerCounts {
 public:
  struct Key {
    RouteName route;
    int status = 0;
    auto operator<=>(const Key&) const = default;  // NOLINT: its 0 is no pointer
  };

  void count(const RouteName& route, int status) { ++counts_[Key{route, status}]; }
  const std::map<Key, std::uint64_t>& all() const { return counts_; }

 private:
  std::map<Key, std::uint64_t> counts_;
};

}  // namespace sc::http
