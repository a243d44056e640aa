#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "handoff/keeper.h"
#include "handoff/layout.h"
#include "net/address.h"

namespace sc::handoff {

// What the next process has to know of a session beside its sockets.
struct SessionFacts {
  std::uint16_t port = 0;
  std::int64_t stream_created_at = 0;  // ms since 1970
  std::int64_t started_at = 0;         // ms of CLOCK_MONOTONIC
  std::int64_t last_byte_at = 0;       // likewise
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  net::Address peer;
  bool is_counted = false;  // as not kept, at a former try; not in the table
};

// A session's place in the table and its sockets' in the store. From then on every byte of it that
// was read is in a kept pipe or in a CopyPlace until it is written, the sockets have copies
// elsewhere, so close(2) ends nothing, and whoever closes the last copy sends a reset: half a
// transfer must not look like a whole one. Ends with this object, the table's part first. Keeper's
// thread.
//
// Of a client that was just accepted a kill loses what is not kept yet, so the copy comes before
// all else there, also before its resets on close.
class SessionRecord {
 public:
  // What pumps have to know of it before it can be found: the pipes in which its bytes wait then
  // say whose they are. False: they are not kept, so it cannot be.
  struct Place {
    SessionSlot& slot;
    std::uint64_t up;  // owners, for PipeRecord::claim()
    std::uint64_t down;
  };
  using Claim = std::function<bool(const Place&)>;

  // Null: it is not kept, which was counted unless it had been before; the sockets are as before.
  static std::unique_ptr<SessionRecord> make(Keeper& keeper, const SessionFacts& facts, int client,
                                             int backend, const Claim& claim = {});
  // A client alone, until add_backend(). Null: likewise.
  static std::unique_ptr<SessionRecord> make_client(Keeper& keeper, const SessionFacts& facts,
                                                    int client);
  // A client and the socket by which its backend will be dialled, until reach(): one copy in place
  // of two. Null: likewise.
  static std::unique_ptr<SessionRecord> make_dialing(Keeper& keeper, const SessionFacts& facts,
                                                     int client, int backend);
  // A former process's.
  SessionRecord(Keeper& keeper, std::unique_ptr<Kept> kept);
  SessionRecord(const SessionRecord&) = delete;
  SessionRecord& operator=(const SessionRecord&) = delete;
  ~SessionRecord();

  // Before a byte is moved: it has reached its backend by another socket than was kept with it,
  // or by the very one. False: it is not kept, or without its backend.
  bool add_backend(int client, int backend);
  bool reach();

  SessionSlot& slot() { return keeper_.table().session(kept_->record().slot); }
  // For PipeRecord::claim().
  std::uint64_t owner(Direction direction) const;
  SessionFacts facts();
  RecordKind kind() const { return kept_->record().kind; }
  bool is_held() const { return kept_->is_held(); }
  // It has to be given up for want of a kept pipe.
  void count_no_pipe();

 private:
  static std::unique_ptr<SessionRecord> make(Keeper& keeper, RecordKind kind,
                                             const SessionFacts& facts, std::span<const int> fds,
                                             const Claim& claim);
  void count(Trouble trouble);

  Keeper& keeper_;
  std::unique_ptr<Kept> kept_;
};

// A pipe that is kept for as long as its worker uses it, for one session after the other.
class PipeRecord {
 public:
  // Null: it is not kept.
  static std::unique_ptr<PipeRecord> make(Keeper& keeper, int pipe);
  PipeRecord(Keeper& keeper, std::unique_ptr<Kept> kept);
  PipeRecord(const PipeRecord&) = delete;
  PipeRecord& operator=(const PipeRecord&) = delete;
  ~PipeRecord();

  // Whose bytes go in next; to be said before they do. 0: of a session that is not kept.
  void claim(std::uint64_t owner) { slot_.owner.store(owner, std::memory_order_release); }
  bool is_held() const { return kept_->is_held(); }

 private:
  Keeper& keeper_;
  std::unique_ptr<Kept> kept_;
  PipeSlot& slot_;
};

}  // namespace sc::handoff
