#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "bench/pattern.h"

namespace sc::bench {

// One request to the echo and its reply, which must be the same bytes.
class Exchange {
 public:
  enum class State : std::uint8_t {
    sending,    // wants EPOLLOUT
    receiving,  // wants EPOLLIN
    done,
    failed,  // fault() says why
  };

  Exchange(const Pattern& pattern, std::size_t size) : pattern_(&pattern), size_(size) {}

  // The numberth request; each is another part of the pattern.
  void begin(std::uint64_t number);
  // One system call on a connected socket that is ready for it.
  State step(int socket);
  const std::string& fault() const { return fault_; }

 private:
  State fail(std::string why);

  const Pattern* pattern_;
  std::size_t size_;
  std::uint64_t position_ = 0;
  std::size_t sent_ = 0;
  std::size_t received_ = 0;
  std::string fault_;
};

}  // namespace sc::bench
