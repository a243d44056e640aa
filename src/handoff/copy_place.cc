#include "handoff/copy_place.h"

#include "net/tcp_position.h"

namespace sc::handoff {
namespace {

// How far it has got since; nothing where that is more than there can be, or less than nothing.
std::optional<std::size_t> advance(std::optional<std::uint64_t> now, std::uint64_t before,
                                   std::size_t most) {
  if (!now || *now < before || *now - before > most) return std::nullopt;
  return static_cast<std::size_t>(*now - before);
}

}  // namespace

std::optional<std::span<const std::byte>> unsent(CopySlot& slot, int source, int sink) {
  const std::span<const std::byte> all = slot.bytes;
  // What is not there yet to be noted may have been read.
  const std::uint64_t noted = slot.size;
  if (noted > all.size()) return std::nullopt;
  const auto size = noted > 0 ? std::optional(static_cast<std::size_t>(noted))
                              : advance(net::bytes_read(source), slot.read, all.size());
  if (!size) return std::nullopt;
  CopyPlace(slot).note_read(*size);
  if (*size == 0) return std::span<const std::byte>();
  const auto sent = advance(net::bytes_written(sink), slot.written, *size);
  if (!sent) return std::nullopt;
  return all.subspan(*sent, *size - *sent);
}

}  // namespace sc::handoff
