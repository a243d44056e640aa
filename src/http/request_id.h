#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <vector>

#include "http/message.h"

namespace sc::http {

// Names requests, so that a client's report, an answer and the log's lines can be laid side by
// side. One thread.
class RequestIds {
 public:
  // The client's own X-Request-Id if there is exactly one, of 1 to 64 letters, digits, `.`, `_` and
  // `-`; whatever else might break out of a log line or a header is not repeated. Else a new one.
  std::string of(const std::vector<Header>& headers);

  // 16 random hex digits: none comes twice in the life of a host, nor does it tell how many there
  // were.
  std::string make();

 private:
  static constexpr std::size_t kSize = 8;
  // Asked for at once: a system call for 32 requests.
  std::array<unsigned char, kSize * 32> random_;
  std::size_t used_ = sizeof(random_);
};

}  // namespace sc::http
