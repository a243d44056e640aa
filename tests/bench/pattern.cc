#include "bench/pattern.h"

#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <system_error>

namespace sc::bench {
namespace {

constexpr std::uint64_t kTurn = 1U << 20;  // bytes of one system call, so that sessions take turns

// SplitMix64 (Steele, Lea, Flood 2014).
std::uint64_t mixed(std::uint64_t value) {
  value += 0x9e3779b97f4a7c15U;
  value = (value ^ (value >> 30U)) * 0xbf58476d1ce4e5b9U;
  value = (value ^ (value >> 27U)) * 0x94d049bb133111ebU;
  return value ^ (value >> 31U);
}

}  // namespace

Pattern::Pattern() : bytes_(kPeriod + kMaxMessage), file_(::memfd_create("pattern", MFD_CLOEXEC)) {
  for (std::size_t at = 0; at < kPeriod; at += sizeof(std::uint64_t)) {
    const std::uint64_t word = mixed(at);
    std::memcpy(&bytes_[at], &word, sizeof word);
  }
  std::copy_n(bytes_.begin(), kMaxMessage, bytes_.begin() + kPeriod);
  if (!file_ || ::write(file_.get(), bytes_.data(), kPeriod) != std::int64_t{kPeriod})
    throw std::system_error(errno, std::generic_category(), "memfd");
}

std::span<const std::byte> Pattern::view(std::uint64_t position, std::size_t size) const {
  return std::span(bytes_).subspan(position % kPeriod, std::min(size, kMaxMessage));
}

std::optional<std::uint64_t> Pattern::find_wrong(std::uint64_t position,
                                                 std::span<const std::byte> bytes) const {
  while (!bytes.empty()) {
    const auto wanted = view(position, bytes.size());
    const auto got = bytes.first(wanted.size());
    if (std::memcmp(wanted.data(), got.data(), got.size()) != 0) {
      const auto wrong = std::mismatch(wanted.begin(), wanted.end(), got.begin()).first;
      return position + static_cast<std::uint64_t>(wrong - wanted.begin());
    }
    position += got.size();
    bytes = bytes.subspan(got.size());
  }
  return std::nullopt;
}

std::int64_t Pattern::send(int socket, std::uint64_t position, std::uint64_t most,
                           SendMode mode) const {
  const std::uint64_t start = position % kPeriod;
  const std::uint64_t size = std::min({most, kPeriod - start, kTurn});
  if (mode == SendMode::copy) return ::send(socket, &bytes_[start], size, MSG_NOSIGNAL);
  auto offset = static_cast<off_t>(start);
  return ::sendfile(socket, file_.get(), &offset, size);
}

std::int64_t discard(int socket, std::uint64_t most) {
  return ::recv(socket, nullptr, std::min(most, kTurn), MSG_TRUNC);
}

std::span<std::byte> scratch() {
  static std::array<std::byte, 262144> buffer;
  return buffer;
}

}  // namespace sc::bench
