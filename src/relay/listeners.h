#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/callback.h"
#include "base/fd.h"
#include "loop/loop.h"
#include "loop/timer.h"
#include "net/acceptor.h"
#include "relay/admission.h"
#include "relay/stream_context.h"

namespace sc::relay {

// A worker's listeners. Each asks for admission before it accepts, and rests while it is refused.
// Loop's thread only.
class Listeners {
 public:
  // Its place is taken. Must not destroy the Listeners.
  using OnClient = base::Callback<void(const StreamContext&, net::Accepted)>;

  // `are_kept`: the service manager holds copies, so closing one has to be more than close(2).
  Listeners(loop::Loop& loop, Admission& admission, bool are_kept, OnClient on_client);
  Listeners(const Listeners&) = delete;
  Listeners& operator=(const Listeners&) = delete;

  void open(StreamContext stream, base::Fd listener);
  // The others do nothing for a stream that is not here.
  void pause(std::uint64_t stream_id);
  void resume(std::uint64_t stream_id);
  void change(std::uint64_t stream_id, std::shared_ptr<const SessionSpec> spec);
  void close(std::uint64_t stream_id);
  // Closes our descriptor alone: the socket is another worker's now, or was closed for us.
  void abandon(std::uint64_t stream_id);
  void close_all();
  // Closes our copies alone, for the next process: clients wait.
  void leave();

  // There may be room for clients of any stream, of this one.
  void on_room();
  void on_stream_room(std::uint64_t stream_id);

 private:
  struct Listener {
    StreamContext stream;
    std::unique_ptr<net::Acceptor> acceptor;
    bool paused = false;      // by the control thread
    Admission::Wait waits;    // for room; null: not
    bool is_in_line = false;  // is in `waiting_`
  };

  bool may_accept(std::uint64_t stream_id);
  void on_nobody(std::uint64_t stream_id);
  void on_accept(std::uint64_t stream_id, net::Accepted client);
  static void set_waits(Listener& listener, Admission::Wait waits);
  void wake_all();
  void log_refusal(const Listener& listener, Room room);

  loop::Loop& loop_;
  Admission& admission_;
  const bool are_kept_;
  OnClient on_client_;
  std::unordered_map<std::uint64_t, Listener> listeners_;  // by stream
  // Streams whose clients wait for a session or descriptors, the longest first. All of them ask
  // again when there may be room: one that was woken alone might have no use for it.
  std::vector<std::uint64_t> waiting_;
  loop::Timer wake_due_;
  std::optional<std::chrono::milliseconds> logged_at_;  // in the loop's time
};

}  // namespace sc::relay
