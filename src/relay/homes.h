#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "base/callback.h"
#include "base/fd.h"
#include "base/result.h"
#include "relay/stream_context.h"
#include "relay/tickets.h"
#include "relay/worker.h"

namespace sc::relay {

// Decides which worker accepts the clients of which stream: its home. If a worker does not take a
// listener, the next worker gets it. If it does not close a listener, this closes it. The listeners
// of a worker that stands still move to other workers.
// Control thread only.
class Homes {
 public:
  using OnAccepting = base::Callback<void(base::Result<void>)>;
  using OnClosed = base::Callback<void()>;
  // The stream's listener has another descriptor now.
  using OnMoved = std::function<void(std::uint64_t stream_id, int listener)>;

  // How many ticks a worker has to take or to close a listener.
  static constexpr unsigned kPatience = 10;
  // How often a listener is sent before no worker is said to accept.
  static constexpr std::size_t kTries = 3;

  // `workers` may be filled later, before the first stream.
  Homes(const std::vector<std::unique_ptr<Worker>>& workers, OnMoved on_moved)
      : workers_(workers), on_moved_(std::move(on_moved)) {}
  Homes(const Homes&) = delete;
  Homes& operator=(const Homes&) = delete;

  // A new stream gets a home, a known one a new listener.
  void open(StreamContext stream, base::Fd listener);
  // Calls back once a worker accepts the stream's clients, perhaps at once; with an error when no
  // worker has taken the listener in time. A worker that goes on later still takes it.
  void when_accepting(std::uint64_t stream_id, OnAccepting on_accepting);

  // The descriptor of the stream's listener, which is its worker's; -1: there is none.
  int listener(std::uint64_t stream_id) const;

  // These do nothing for a stream that has no home.
  void pause(std::uint64_t stream_id);
  void resume(std::uint64_t stream_id);
  void change(std::uint64_t stream_id, std::shared_ptr<const SessionSpec> spec);

  // Calls back, later, once the listener is closed. Also for a stream that never had one.
  void close(std::uint64_t stream_id, OnClosed on_closed);

  void handle(const ListenerOpened& event);
  void handle(const ListenerClosed& event);

  // The worker stands still: what it accepts for moves to workers that do not.
  void leave(std::size_t worker);

  // Whether an answer of a worker is waited for; then tick() is due every now and then.
  bool waits() const { return waiting_ > 0 || !closings_.empty(); }
  void tick();

 private:
  struct Home {
    StreamContext stream;
    std::size_t worker = 0;
    int listener = -1;                       // the worker's; -1: it has none
    bool is_paused = false;                  // by the conductor
    std::shared_ptr<OpeningTicket> opening;  // null: the worker has taken it
    unsigned ticks = 0;                      // since it was sent
    std::size_t tried = 0;                   // workers that did not take it
    std::vector<OnAccepting> on_accepting;
  };
  struct Closing {
    std::shared_ptr<ClosingTicket> ticket;
    std::size_t worker = 0;
    int listener = -1;
    unsigned ticks = 0;
    OnClosed on_closed;
  };

  std::size_t choose();
  void send(Home& home, base::Fd listener);
  void move(Home& home, base::Fd listener);
  void on_untaken(Home& home);
  static void answer(Home& home, const base::Result<void>& result);
  static void close_for_worker(const Closing& closing);

  const std::vector<std::unique_ptr<Worker>>& workers_;
  OnMoved on_moved_;
  std::size_t next_ = 0;
  std::size_t waiting_ = 0;                        // homes whose listener is on its way
  std::unordered_map<std::uint64_t, Home> homes_;  // by stream
  std::unordered_map<std::uint64_t, Closing> closings_;
};

}  // namespace sc::relay
