#include "relay/admission.h"

#include <utility>

namespace sc::relay {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

// Adds, unless that exceeds the limit.
bool take(std::atomic<std::size_t>& count, std::size_t more, std::size_t limit) {
  std::size_t now = count.load();
  while (now <= limit && limit - now >= more)
    if (count.compare_exchange_weak(now, now + more)) return true;
  return false;
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
    : limits_(limits), on_room_(std::move(on_room)) {}

Room Admission::enter(StreamCounters& stream) {
  Room room = try_enter(stream);
  if (room == Room::granted) return room;
  (room == Room::stream_full ? stream.clients_wait : someone_waits_).store(true);
  room = try_enter(stream);
  if (room == Room::granted) return room;
  // Another limit than the first time: whoever makes room there must know as well.
  (room == Room::stream_full ? stream.clients_wait : someone_waits_).store(true);
  refusals_.fetch_add(1, kRelaxed);
  stream.refusals.fetch_add(1, kRelaxed);
  return room;
}

Room Admission::try_enter(StreamCounters& stream) {
  if (!take(sessions_, 1, limits_.sessions)) return Room::no_session;
  if (!take(stream.sessions_admitted, 1, limits_.sessions_per_stream)) {
    sessions_.fetch_sub(1);
    return Room::stream_full;
  }
  if (!take(descriptors_, kSessionDescriptors, limits_.descriptors)) {
    stream.sessions_admitted.fetch_sub(1);
    sessions_.fetch_sub(1);
    return Room::no_descriptor;
  }
  return Room::granted;
}

bool Admission::leave(StreamCounters& stream) {
  sessions_.fetch_sub(1);
  stream.sessions_admitted.fetch_sub(1);
  give_descriptors(kSessionDescriptors);
  return stream.clients_wait.load() && stream.clients_wait.exchange(false);
}

bool Admission::has_descriptors(std::size_t count) const {
  const std::size_t used = descriptors_.load();
  return used <= limits_.descriptors && limits_.descriptors - used >= count;
}

bool Admission::take_pipe() {
  return take(descriptors_, kPipeDescriptors, limits_.descriptors - limits_.descriptors / 4);
}

void Admission::give_descriptors(std::size_t count) {
  descriptors_.fetch_sub(count);
  tell_room();
}

void Admission::tell_room() {
  if (someone_waits_.load() && someone_waits_.exchange(false)) on_room_();
}

}  // namespace sc::relay
