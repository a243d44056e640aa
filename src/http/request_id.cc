#include "http/request_id.h"

#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <system_error>

#include "base/text.h"

namespace sc::http {
namespace {

constexpr std::string_view kName = "x-request-id";
constexpr std::size_t kLongest = 64;

bool is_good(const std::string& id) {
  const auto is_id_char = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
           c == '_' || c == '-';
  };
  return !id.empty() && id.size() <= kLongest && std::all_of(id.begin(), id.end(), is_id_char);
}

}  // namespace

std::string RequestIds::of(const std::vector<Header>& headers) {
  const Header* given = nullptr;
  for (const Header& header : headers) {
    if (header.name.size() != kName.size() || base::to_lower(header.name) != kName) continue;
    if (given != nullptr) return make();
    given = &header;
  }
  return given != nullptr && is_good(given->value) ? given->value : make();
}

std::string RequestIds::make() {
  if (used_ == random_.size()) {
    // Up to 256 bytes come whole once the kernel has gathered its entropy (getrandom(2)).
    static_assert(sizeof(random_) <= 256);
    while (::getrandom(random_.data(), random_.size(), 0) != static_cast<ssize_t>(random_.size())) {
      if (errno != EINTR) throw std::system_error(errno, std::generic_category(), "getrandom");
    }
    used_ = 0;
  }
  std::string id;
  for (std::size_t i = 0; i < kSize; ++i) {
    const unsigned byte = random_[used_++];
    id += "0123456789abcdef"[byte >> 4U];
    id += "0123456789abcdef"[byte & 0xfU];
  }
  return id;
}

}  // namespace sc::http
