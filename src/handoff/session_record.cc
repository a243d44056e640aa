#include "handoff/session_record.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <chrono>
#include <cstring>
#include <utility>

#include "base/kill_point.h"
#include "net/socket.h"

namespace sc::handoff {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

void count_not_kept(Keeper& keeper, Trouble trouble) {
  keeper.counters().not_kept[static_cast<std::size_t>(trouble)].fetch_add(1, kRelaxed);
}

void write(SessionSlot& slot, const SessionFacts& facts) {
  slot.port = facts.port;
  slot.stream_created_at = facts.stream_created_at;
  slot.started_at = facts.started_at;
  slot.last_byte_at.store(facts.last_byte_at, kRelaxed);
  slot.bytes_in.store(facts.bytes_in, kRelaxed);
  slot.bytes_out.store(facts.bytes_out, kRelaxed);
  slot.up_ended.store(0, kRelaxed);
  slot.down_ended.store(0, kRelaxed);
  slot.broken.store(0, kRelaxed);
  slot.reached.store(Reached::no, kRelaxed);
  std::fill(std::begin(slot.reserved), std::end(slot.reserved), std::uint8_t{0});
  slot.peer_size =
      static_cast<std::uint8_t>(std::min<std::size_t>(facts.peer.size(), sizeof slot.peer));
  std::memcpy(slot.peer, facts.peer.raw(), slot.peer_size);
}

Record record_of(RecordKind kind, std::uint32_t slot, std::uint64_t generation) {
  return {slot, kind, static_cast<std::uint8_t>(kVersion), 0, generation};
}

}  // namespace

std::unique_ptr<SessionRecord> SessionRecord::make(Keeper& keeper, const SessionFacts& facts,
                                                   int client, int backend, const Claim& claim) {
  return make(keeper, RecordKind::session, facts, std::array{client, backend}, claim);
}

std::unique_ptr<SessionRecord> SessionRecord::make_client(Keeper& keeper, const SessionFacts& facts,
                                                          int client) {
  return make(keeper, RecordKind::client, facts, std::array{client}, {});
}

std::unique_ptr<SessionRecord> SessionRecord::make_dialing(Keeper& keeper,
                                                           const SessionFacts& facts, int client,
                                                           int backend) {
  return make(keeper, RecordKind::dialing, facts, std::array{client, backend}, {});
}

std::unique_ptr<SessionRecord> SessionRecord::make(Keeper& keeper, RecordKind kind,
                                                   const SessionFacts& facts,
                                                   std::span<const int> fds, const Claim& claim) {
  Table& table = keeper.table();
  const auto place = table.take_session();
  const auto count = [&](Trouble trouble) {
    if (!facts.is_counted) count_not_kept(keeper, trouble);
  };
  if (!place) {
    count(Trouble::table_full);
    return nullptr;
  }
  SessionSlot& slot = table.session(*place);
  write(slot, facts);
  const std::uint64_t generation = table.new_generation();
  slot.generation.store(generation, std::memory_order_release);
  SC_KILL_POINT("slot");
  const auto give_up = [&](Trouble trouble) {
    slot.generation.store(0, std::memory_order_release);
    table.give_session(*place);
    count(trouble);
  };
  if (claim && !claim({slot, PipeOwner::pack(*place, Direction::up, generation),
                       PipeOwner::pack(*place, Direction::down, generation)})) {
    give_up(Trouble::no_pipe);
    return nullptr;
  }
  const bool has_begun = kind == RecordKind::session;
  if (has_begun) std::for_each(fds.begin(), fds.end(), net::reset_on_close);
  auto kept = keeper.keep(record_of(kind, *place, generation), fds);
  if (!kept) {
    give_up(keeper.trouble());
    if (has_begun) std::for_each(fds.begin(), fds.end(), net::end_on_close);
    return nullptr;
  }
  if (!has_begun) std::for_each(fds.begin(), fds.end(), net::reset_on_close);
  SC_KILL_POINT("kept");
  if (facts.is_counted) kept->set_counted();
  return std::make_unique<SessionRecord>(keeper, std::move(kept));
}

SessionRecord::SessionRecord(Keeper& keeper, std::unique_ptr<Kept> kept)
    : keeper_(keeper), kept_(std::move(kept)) {
  keeper_.counters().sessions.fetch_add(1, kRelaxed);
}

SessionRecord::~SessionRecord() {
  if (is_held()) keeper_.counters().sessions.fetch_sub(1, kRelaxed);
  if (keeper_.is_leaving()) return;
  const std::uint32_t place = kept_->record().slot;
  // Before the copy goes: a record whose generation the table does not have is nobody's.
  slot().generation.store(0, std::memory_order_release);
  SC_KILL_POINT("freed");
  kept_.reset();
  SC_KILL_POINT("dropped");
  keeper_.table().give_session(place);
}

bool SessionRecord::add_backend(int client, int backend) {
  if (!is_held()) return false;  // which was counted when it was found out
  const std::array<int, 2> fds{client, backend};
  net::reset_on_close(backend);
  if (keeper_.replace(
          *kept_, record_of(RecordKind::session, kept_->record().slot, kept_->record().generation),
          fds)) {
    slot().reached = Reached::by_later;
    return true;
  }
  net::end_on_close(backend);
  count(keeper_.trouble());
  return false;
}

bool SessionRecord::reach() {
  assert(kind() == RecordKind::dialing);
  if (!is_held()) return false;  // likewise
  SC_KILL_POINT("reaching");
  slot().reached = Reached::by_first;
  SC_KILL_POINT("reached");
  return true;
}

void SessionRecord::count_no_pipe() { count(Trouble::no_pipe); }

void SessionRecord::count(Trouble trouble) {
  if (kept_->is_counted()) return;
  kept_->set_counted();
  count_not_kept(keeper_, trouble);
}

std::uint64_t SessionRecord::owner(Direction direction) const {
  return PipeOwner::pack(kept_->record().slot, direction, kept_->record().generation);
}

// What the table has may be damaged. A time of CLOCK_MONOTONIC that lies ahead, or before the boot,
// is none, and sums with such ones would overflow.
SessionFacts SessionRecord::facts() {
  const std::int64_t now = std::chrono::floor<std::chrono::milliseconds>(
                               std::chrono::steady_clock::now().time_since_epoch())
                               .count();
  const auto to_past = [now](std::int64_t at) { return std::clamp<std::int64_t>(at, 0, now); };
  const SessionSlot& at = slot();
  SessionFacts facts;
  facts.port = at.port;
  facts.stream_created_at = at.stream_created_at;
  facts.started_at = to_past(at.started_at);
  facts.last_byte_at = to_past(at.last_byte_at.load(kRelaxed));
  facts.bytes_in = at.bytes_in.load(kRelaxed);
  facts.bytes_out = at.bytes_out.load(kRelaxed);
  sockaddr_storage peer{};
  const std::size_t size = std::min<std::size_t>(at.peer_size, sizeof at.peer);
  std::memcpy(&peer, at.peer, size);
  facts.peer = net::Address(reinterpret_cast<const sockaddr*>(&peer), static_cast<socklen_t>(size));
  return facts;
}

std::unique_ptr<PipeRecord> PipeRecord::make(Keeper& keeper, int pipe) {
  Table& table = keeper.table();
  const auto place = table.take_pipe();
  if (!place) return nullptr;
  PipeSlot& slot = table.pipe(*place);
  const std::uint64_t generation = table.new_generation();
  slot.owner.store(0, kRelaxed);
  slot.generation.store(generation, std::memory_order_release);
  SC_KILL_POINT("pipe_slot");
  const std::array<int, 1> fds{pipe};
  auto kept = keeper.keep(record_of(RecordKind::pipe, *place, generation), fds);
  if (!kept) {
    slot.generation.store(0, std::memory_order_release);
    table.give_pipe(*place);
    return nullptr;
  }
  SC_KILL_POINT("pipe_kept");
  return std::make_unique<PipeRecord>(keeper, std::move(kept));
}

PipeRecord::PipeRecord(Keeper& keeper, std::unique_ptr<Kept> kept)
    : keeper_(keeper), kept_(std::move(kept)), slot_(keeper.table().pipe(kept_->record().slot)) {}

PipeRecord::~PipeRecord() {
  if (keeper_.is_leaving()) return;
  const std::uint32_t place = kept_->record().slot;
  slot_.generation.store(0, std::memory_order_release);
  SC_KILL_POINT("pipe_freed");
  kept_.reset();
  SC_KILL_POINT("pipe_dropped");
  keeper_.table().give_pipe(place);
}

}  // namespace sc::handoff
