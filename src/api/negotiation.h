#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

#include "api/problem.h"
#include "http/message.h"

namespace sc::api {

// not_acceptable: Accept leaves no JSON that this API speaks.
std::optional<Problem> check_accept(const http::Request& request);

struct OfferedType {
  std::string_view type;
  std::string_view version;  // which a range that names one has to name
};
// Which of these Accept likes best, of equals the first. not_acceptable: it leaves none.
Outcome<std::size_t> choose_type(const http::Request& request,
                                 std::span<const OfferedType> offered);

// unsupported_media_type: the body is none of these types, or in another charset than UTF-8.
std::optional<Problem> check_content_type(const http::Request& request,
                                          std::span<const std::string_view> allowed);

}  // namespace sc::api
