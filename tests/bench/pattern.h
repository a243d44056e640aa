#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/fd.h"

namespace sc::bench {

enum class SendMode : std::uint8_t {
  copy,      // send(2): the kernel copies into buffers of up to 32 KiB, as most programs do
  sendfile,  // sendfile(2): no copy, but the bytes are handed on in pages of 4 KiB
};

// An endless sequence of bytes whose every position is known, the same in every process, so that
// both ends can tell a lost, doubled, moved or wrong byte.
class Pattern {
 public:
  // 255 pages: whole ones for sendfile(2), and no power of two, so that a lost buffer shows.
  static constexpr std::uint64_t kPeriod = 255 * 4096;
  // No message of a single exchange is larger.
  static constexpr std::size_t kMaxMessage = 65536;

  Pattern();

  // `size` (at most kMaxMessage) bytes from `position` on.
  std::span<const std::byte> view(std::uint64_t position, std::size_t size) const;

  // The first position where the bytes, which begin at `position`, are wrong.
  std::optional<std::uint64_t> find_wrong(std::uint64_t position,
                                          std::span<const std::byte> bytes) const;

  // Sends up to `most` bytes from `position` on; what send(2) returns, and its errno.
  std::int64_t send(int socket, std::uint64_t position, std::uint64_t most, SendMode mode) const;

 private:
  std::vector<std::byte> bytes_;  // a period and the first bytes of the next one
  base::Fd file_;                 // the same in memory, for sendfile(2)
};

// Reads up to `most` bytes and forgets them. For TCP, MSG_TRUNC discards in the kernel without a
// copy (tcp(7)), so that the reader costs as little as it can beside what is measured.
std::int64_t discard(int socket, std::uint64_t most);

// Where readers that look at the bytes put them; single-threaded.
std::span<std::byte> scratch();

}  // namespace sc::bench
