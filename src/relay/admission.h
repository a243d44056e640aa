#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string_view>

#include "net/attempt_budget.h"
#include "relay/counters.h"

namespace sc::relay {

struct AdmissionLimits {
  static constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();

  std::size_t sessions = kNone;             // of all streams together
  std::size_t sessions_per_stream = kNone;  // where the stream has none of its own
  // For listeners, sessions, pipes and attempts to reach a backend.
  std::size_t descriptors = kNone;
};

// Which limit keeps a client waiting.
enum class Room : unsigned char {
  granted,
  no_session,     // as many sessions as this stream may bring the total to
  no_descriptor,  // too few descriptors for one more
  stream_full,    // as many sessions of this stream as may be
};

constexpr std::size_t kRooms = 4;

std::string_view to_string(Room room);

// Who may come in: the workers ask before they accept, so that at a limit clients wait in the
// backlog of their listener, where the kernel keeps them at no cost, and nobody accepts only to
// close. Whoever was refused is told when there may be room. Any thread; of one stream only its
// home worker asks.
//
// An eighth of the places, and of their descriptors, is reserved for streams with few sessions. So
// one stream cannot take every place and starve the others. A stream with kFew sessions or
// more is refused when only reserved places are left. Where an eighth is less than kFew places,
// "few" is that eighth; a service with fewer than 8 places reserves none.
class Admission final : public net::AttemptBudget {
 public:
  static constexpr std::size_t kFew = 16;           // sessions
  static constexpr std::size_t kReservedShare = 8;  // one place in eight

  // on_room: there may be room for those who were refused for want of a session or a descriptor:
  // all of them are to ask again. Called by whoever makes room, on its thread.
  Admission(const AdmissionLimits& limits, std::function<void()> on_room);
  Admission(const Admission&) = delete;
  Admission& operator=(const Admission&) = delete;

  // Takes a session's place and its two descriptors, or says what is missing: then on_room follows
  // sooner or later or, for stream_full, a leave() that answers true.
  Room enter(StreamCounters& stream);
  // For a session of a former process, which is in already, whatever the limits are now.
  void add_session(StreamCounters& stream);
  // Gives them back. True: clients of this stream wait, and there is room for one now.
  bool leave(StreamCounters& stream);
  // A client has to wait, for want of this.
  void count_refusal(StreamCounters& stream, Room missing);
  // A listener whose clients wait, for want of this: counted for as long as the answer lives, which
  // is not longer than this.
  struct EndWait {
    void operator()(std::atomic<std::uint64_t>* waiting) const {
      waiting->fetch_sub(1, std::memory_order_relaxed);
    }
  };
  using Wait = std::unique_ptr<std::atomic<std::uint64_t>, EndWait>;
  Wait begin_wait(Room missing);

  bool has_descriptors(std::size_t count) const;
  // For a listener, which is never refused at this point.
  void add_listener() { used_.fetch_add(1); }
  void remove_listener() { give(1); }
  // For a pipe; without one a session goes on, more slowly (see Pump).
  bool take_pipe();
  // For a second address of a backend that is dialled while the first still is. As for a pipe. If
  // it is refused, the addresses are dialled one after the other.
  bool take_attempt() override { return take_pipe(); }
  void give_attempt() override { give_pipe(); }
  void add_pipe() { used_.fetch_add(kPipeDescriptors); }
  void give_pipe() { give(kPipeDescriptors); }

  std::size_t sessions() const { return used_.load(std::memory_order_relaxed) / kOneSession; }
  std::size_t descriptors() const { return used_.load(std::memory_order_relaxed) % kOneSession; }
  // How often a client had to wait.
  std::uint64_t refusals() const;
  std::uint64_t refusals(Room missing) const {
    return refusals_[static_cast<std::size_t>(missing)].load(std::memory_order_relaxed);
  }
  // How many listeners' clients wait now.
  std::uint64_t waiting(Room missing) const {
    return waiting_[static_cast<std::size_t>(missing)].load(std::memory_order_relaxed);
  }
  const AdmissionLimits& limits() const { return limits_; }
  // Sessions that the limits of sessions and descriptors allow, if no pipe takes a descriptor.
  std::size_t places() const { return places_; }
  // The places among them that are reserved for streams with fewer than few() sessions.
  std::size_t reserved() const { return reserved_; }
  std::size_t few() const { return few_; }

 private:
  static constexpr std::uint64_t kOneSession = std::uint64_t{1} << 32;
  static constexpr std::size_t kSessionDescriptors = 2;
  static constexpr std::size_t kPipeDescriptors = 1;

  Room try_enter(StreamCounters& stream);
  struct Most {  // in use afterwards
    std::size_t sessions = 0;
    std::size_t descriptors = 0;
  };
  Room take(std::uint64_t sessions, std::size_t descriptors, const Most& most);
  void give(std::uint64_t what);

  const AdmissionLimits limits_;
  const std::size_t most_for_sessions_;  // descriptors; the rest is for listeners
  const std::size_t most_for_pipes_;     // the rest is for sessions
  const std::size_t places_;
  const std::size_t reserved_;
  const std::size_t few_;
  const Most most_with_few_;   // for a stream with few sessions
  const Most most_with_many_;  // for the other streams
  const std::function<void()> on_room_;
  // Sessions in the upper half, descriptors in the lower: taken together, so that nobody is refused
  // for what another one takes and gives back at once.
  std::atomic<std::uint64_t> used_{0};
  std::array<std::atomic<std::uint64_t>, kRooms> refusals_{};  // by what was missing
  std::array<std::atomic<std::uint64_t>, kRooms> waiting_{};   // listeners, likewise
  // Set by who was refused before it asks again and, refused again, waits; taken off by who makes
  // room, after it has. In one order for all threads, so that no wake-up is lost.
  std::atomic<bool> someone_waits_{false};
};

}  // namespace sc::relay
