#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "api/problem.h"
#include "base/clock.h"
#include "http/message.h"
#include "http/query.h"

namespace sc::api {

// The parameters behind a target's `?`, each at most once. A misspelt one is refused, not ignored:
// without its filter a request asks for something else. A value.
class Query {
 public:
  // malformed_request: names the parameter and those that there are.
  static Outcome<Query> read(const http::Request& request,
                             std::initializer_list<std::string_view> allowed);

  std::optional<std::string> text(std::string_view name) const;
  // malformed_request where it has a value that it may not have.
  Outcome<std::optional<std::uint64_t>> number(std::string_view name, std::uint64_t least,
                                               std::uint64_t most) const;
  Outcome<std::optional<base::WallTime>> time(std::string_view name) const;
  Outcome<bool> boolean(std::string_view name) const;  // false where it is not there

  // The target of the same request with another `cursor`.
  std::string next_page(std::string_view path, std::string_view cursor) const;

 private:
  http::QueryFields fields_;
};

// `name` may not be `value`, it `allowed`: `is one of ...`.
Problem bad_parameter(std::string_view name, std::string_view value, std::string_view allowed);

}  // namespace sc::api
