#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>

// What lies in the table's memory file and in the capsules' records: what one process leaves to the
// next, which may be a newer binary. Only integers in the host's order, no pointers.
//
// Fields may be added where it says `reserved`: in a table of an older binary they are 0, and that
// has to mean what that binary did. kVersion then grows by one. A table of a later version than the
// binary's own is refused (see Table::adopt).
namespace sc::handoff {

constexpr std::uint64_t kMagic = 0x66666f646e614853;  // "SHandoff"
constexpr std::uint32_t kVersion = 4;

// Relaxed unless said otherwise: each number stands for itself, and the next process reads them
// when this one is gone.
template <class T>
using Shared = std::atomic<T>;

struct TableHeader {
  std::uint64_t magic = 0;
  std::uint32_t version = 0;
  std::uint32_t session_stride = 0;  // bytes from one session's slot to the next
  std::uint32_t pipe_stride = 0;
  std::uint32_t session_slots = 0;
  std::uint32_t pipe_slots = 0;
  Shared<std::uint32_t> sessions_used;  // slots from there on were never touched
  Shared<std::uint32_t> pipes_used;
  std::uint32_t unused = 0;
  Shared<std::uint64_t> next_generation;
  Shared<std::uint64_t> next_capsule;
  Shared<std::uint64_t> starts;            // processes that had this table
  Shared<std::int64_t> starts_paid_until;  // see StartRate; since version 2
  std::uint32_t copy_slots = 0;            // since version 3, as the next two; a table that began
                                           // with an earlier one has none
  std::uint32_t copy_stride = 0;
  Shared<std::uint32_t> copies_used;  // slots from there on were never touched
  std::uint8_t reserved[44] = {};
};

// Whether a client that was kept before its backend was reached has reached it. From then on bytes
// may have flowed, so it may not be dialled for again.
enum class Reached : std::uint8_t {
  no = 0,
  by_later = 1,  // by a socket that was kept then: a record of RecordKind::session has it
  by_first = 2,  // by the one that was kept with it from the first; since version 4
};

// One kept session. A generation that no record has makes it free.
struct SessionSlot {
  Shared<std::uint64_t> generation;
  std::int64_t stream_created_at = 0;  // ms since 1970: a port that was removed and created again
                                       // is another stream
  std::int64_t started_at = 0;         // ms of CLOCK_MONOTONIC, as the next one
  Shared<std::int64_t> last_byte_at;
  Shared<std::uint64_t> bytes_in;
  Shared<std::uint64_t> bytes_out;
  std::uint16_t port = 0;
  std::uint8_t peer_size = 0;
  // Set before the sink is told the end: whether a closed socket ended in order is seen from it.
  Shared<std::uint8_t> up_ended;
  Shared<std::uint8_t> down_ended;
  std::uint8_t peer[28] = {};  // the client's sockaddr
  // A side has broken: whatever can still be read looks like an orderly end and is none.
  Shared<std::uint8_t> broken;
  Shared<Reached> reached;
  std::uint8_t reserved[45] = {};
};

// One kept pipe: whose bytes it holds, if it holds any. Written before bytes go in.
struct PipeSlot {
  Shared<std::uint64_t> generation;
  Shared<std::uint64_t> owner;  // see PipeOwner
};

// A message of a kept session on its way through user space: where its worker reads it into,
// and what the next process has to know to see how far it got. See CopyPlace. Each on cache lines
// of its own.
struct alignas(64) CopySlot {
  Shared<std::uint64_t> owner;    // see PipeOwner; 0: nothing is on its way
  Shared<std::uint64_t> read;     // net::bytes_read() of the source before it was read
  Shared<std::uint64_t> written;  // net::bytes_written() of the sink, likewise
  Shared<std::uint64_t> size;     // of the message; 0: not known yet, it may not have been read
  std::uint8_t reserved[32] = {};
  std::byte bytes[16 * 1024];
};

enum class Direction : std::uint8_t { up, down };

// Slot, direction and the low bits of the generation in one word, so that it is written at once.
// 0: nobody's, or of a session that is not kept.
struct PipeOwner {
  static constexpr unsigned kSlotBits = 24;

  static constexpr std::uint64_t pack(std::uint32_t slot, Direction direction,
                                      std::uint64_t generation) {
    return generation << (kSlotBits + 1) | std::uint64_t{slot} << 1 |
           static_cast<std::uint64_t>(direction);
  }
  static constexpr std::uint32_t slot(std::uint64_t owner) {
    return static_cast<std::uint32_t>(owner >> 1) & ((1U << kSlotBits) - 1);
  }
  static constexpr Direction direction(std::uint64_t owner) {
    return static_cast<Direction>(owner & 1);
  }
};

enum class RecordKind : std::uint8_t {
  session = 1,  // two descriptors: client, backend
  client = 2,   // one: a client whose backend is being dialled
  pipe = 3,     // one, for both ends (open with O_RDWR)
  listener = 4,
  dialing = 5,  // two: such a client, and the socket by which its backend is dialled, which counts
                // for nothing until it is Reached::by_first; since version 4
};

constexpr bool is_of_session(RecordKind kind) {
  return kind == RecordKind::session || kind == RecordKind::client || kind == RecordKind::dialing;
}

// What goes through a capsule beside the descriptors.
struct Record {
  std::uint32_t slot = 0;
  RecordKind kind = RecordKind::session;
  std::uint8_t version = 0;
  std::uint16_t unused = 0;
  std::uint64_t generation = 0;
};

static_assert(sizeof(Record) == 16 && std::is_trivially_copyable_v<Record>);
static_assert(sizeof(SessionSlot) == 128 && sizeof(PipeSlot) == 16 && sizeof(TableHeader) == 128);
static_assert(sizeof(CopySlot) == 64 + 16 * 1024);
static_assert(Shared<std::uint64_t>::is_always_lock_free);

}  // namespace sc::handoff
