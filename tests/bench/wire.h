#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

// How the load's two ends count bytes. Numbers of 8 bytes in the host's order. No end of a
// stream is needed to end a run, because not every proxy passes a half-close on.
//
// sink: after each number follow so many bytes; after 0 the sink answers with a Verdict.
// source: each number asks for so many bytes more; 0 says that no more will be asked for.
// echo: everything comes back.
namespace sc::bench {

inline constexpr std::uint64_t kAllRight = ~std::uint64_t{0};

struct Verdict {
  std::uint64_t received = 0;
  std::uint64_t wrong_at = kAllRight;  // the first wrong position, where the sink looked
};

// A number, or another plain value, that arrives or leaves in any number of pieces.
template <class T>
class Piecewise {
 public:
  std::span<std::byte> rest() { return std::span(bytes_).subspan(done_); }
  void advance(std::size_t count) { done_ += count; }
  bool complete() const { return done_ == bytes_.size(); }
  T value() const {
    T value;
    std::memcpy(&value, bytes_.data(), sizeof value);
    return value;
  }
  void set(const T& value) {
    std::memcpy(bytes_.data(), &value, sizeof value);
    done_ = 0;
  }
  void restart() { done_ = 0; }

 private:
  std::array<std::byte, sizeof(T)> bytes_{};
  std::size_t done_ = 0;
};

}  // namespace sc::bench
