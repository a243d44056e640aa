#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "handoff/layout.h"

namespace sc::handoff {

// Where a worker reads the small messages of kept sessions into, to write them on: the one way by
// which their bytes pass through user space. The place is in the table's memory, so they are still
// there after a kill; how far the kernel got with them it tells itself, as it counts what was taken
// out of the source and what was put into the sink (net/tcp_position). A message at a time; the
// order of calls is begin(), the reading, note_read(), the writing, end(), with the rest, if any,
// in a kept pipe before the end. The worker's thread.
class CopyPlace {
 public:
  explicit CopyPlace(CopySlot& slot) : slot_(slot) {}

  std::span<std::byte> bytes() { return slot_.bytes; }

  // `owner`: see PipeOwner. `read` and `written`: how far source and sink have got.
  void begin(std::uint64_t owner, std::uint64_t read, std::uint64_t written) {
    slot_.size.store(0, std::memory_order_relaxed);
    slot_.read.store(read, std::memory_order_relaxed);
    slot_.written.store(written, std::memory_order_relaxed);
    slot_.owner.store(owner, std::memory_order_release);
  }
  void note_read(std::size_t size) { slot_.size.store(size, std::memory_order_release); }
  void end() { slot_.owner.store(0, std::memory_order_release); }

 private:
  CopySlot& slot_;
};

// The bytes that a former process had taken out of `source` and not put into `sink`, while nobody
// reads the one or writes to the other. What it learns of the source it notes, so that who is asked
// again needs no source for it. Nothing: the kernel does not tell (see net/tcp_position), or tells
// what cannot be. Before the worker whose place it is begins.
std::optional<std::span<const std::byte>> unsent(CopySlot& slot, int source, int sink);

}  // namespace sc::handoff
