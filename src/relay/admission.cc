#include "relay/admission.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <utility>

namespace sc::relay {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
// Of the descriptors, so that clients cannot keep an operator from opening a port, nor pipes
// clients from coming in.
constexpr std::size_t kListenersShare = 16;
constexpr std::size_t kListenersMost = 64;
constexpr std::size_t kSessionsShare = 4;

AdmissionLimits in_range(AdmissionLimits limits) {
  constexpr std::size_t kMost = std::numeric_limits<std::int32_t>::max();
  limits.sessions = std::min(limits.sessions, kMost);
  limits.descriptors = std::min(limits.descriptors, kMost);
  return limits;
}

}  // namespace

std::string_view to_string(Room room) {
  switch (room) {
    case Room::granted:
      return "granted";
    case Room::no_session:
      return "max_sessions";
    case Room::no_descriptor:
      return "descriptors";
    case Room::stream_full:
      return "max_sessions_per_stream";
  }
  return "?";
}

Admission::Admission(const AdmissionLimits& limits, std::function<void()> on_room)
    : limits_(in_range(limits)),
      most_for_sessions_(limits_.descriptors -
                         std::min(kListenersMost, limits_.descriptors / kListenersShare)),
      most_for_pipes_(limits_.descriptors - limits_.descriptors / kSessionsShare),
      places_(std::min(limits_.sessions, most_for_sessions_ / kSessionDescriptors)),
      reserved_(places_ / kReservedShare),
      few_(std::min(kFew, reserved_)),
      most_with_few_{limits_.sessions, most_for_sessions_},
      most_with_many_{limits_.sessions - reserved_,
                      most_for_sessions_ - reserved_ * kSessionDescriptors},
      on_room_(std::move(on_room)) {}

Room Admission::enter(StreamCounters& stream) {
  Room room = try_enter(stream);
  while (room != Room::granted) {
    (room == Room::stream_full ? stream.clients_wait : someone_waits_).store(true);
    const Room again = try_enter(stream);
    if (again == room) return room;
    room = again;  // another limit than the one whose flag was set before this try
  }
  return room;
}

void Admission::count_refusal(StreamCounters& stream, Room missing) {
  refusals_[static_cast<std::size_t>(missing)].fetch_add(1, kRelaxed);
  stream.refusals.fetch_add(1, kRelaxed);
}

Admission::Wait Admission::begin_wait(Room missing) {
  std::atomic<std::uint64_t>& waiting = waiting_[static_cast<std::size_t>(missing)];
  waiting.fetch_add(1, kRelaxed);
  return Wait(&waiting);
}

std::uint64_t Admission::refusals() const {
  std::uint64_t sum = 0;
  for (const auto& each : refusals_) sum += each.load(kRelaxed);
  return sum;
}

Room Admission::try_enter(StreamCounters& stream) {
  // Only this thread adds to it, once the stream listens.
  const std::size_t own_limit = stream.max_sessions.load(kRelaxed);
  const std::size_t limit = own_limit > 0 ? own_limit : limits_.sessions_per_stream;
  const std::size_t admitted = stream.sessions_admitted.load();
  if (admitted >= limit) return Room::stream_full;
  // Every leave() makes refused streams ask again, also a stream that has few sessions only since
  // that leave().
  const Room room =
      take(1, kSessionDescriptors, admitted < few_ ? most_with_few_ : most_with_many_);
  if (room == Room::granted) stream.sessions_admitted.fetch_add(1);
  return room;
}

void Admission::add_session(StreamCounters& stream) {
  stream.sessions_admitted.fetch_add(1);
  used_.fetch_add(kOneSession + kSessionDescriptors);
}

bool Admission::leave(StreamCounters& stream) {
  stream.sessions_admitted.fetch_sub(1);
  give(kOneSession + kSessionDescriptors);
  return stream.clients_wait.load() && stream.clients_wait.exchange(false);
}

bool Admission::has_descriptors(std::size_t count) const {
  return descriptors() + count <= limits_.descriptors;
}

bool Admission::take_pipe() {
  return take(0, kPipeDescriptors, {limits_.sessions, most_for_pipes_}) == Room::granted;
}

Room Admission::take(std::uint64_t sessions, std::size_t descriptors, const Most& most) {
  std::uint64_t now = used_.load();
  do {
    if (now / kOneSession + sessions > most.sessions) return Room::no_session;
    if (now % kOneSession + descriptors > most.descriptors) return Room::no_descriptor;
  } while (!used_.compare_exchange_weak(now, now + sessions * kOneSession + descriptors));
  return Room::granted;
}

void Admission::give(std::uint64_t what) {
  used_.fetch_sub(what);
  if (someone_waits_.load() && someone_waits_.exchange(false)) on_room_();
}

}  // namespace sc::relay
