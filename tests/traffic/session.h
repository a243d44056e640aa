#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/fd.h"
#include "bench/pattern.h"
#include "bench/reactor.h"
#include "traffic/outcome.h"
#include "traffic/pace.h"
#include "traffic/plan.h"

namespace sc::traffic {

// What all sessions of a process share; single-threaded.
struct World {
  bench::Reactor reactor{};
  bench::Pattern pattern{};
  Alarms alarms{};
  Outcome outcome{};

  // Waits for what is next, at most until `until`.
  void turn(Clock::time_point until);
};

// One end of a session, which sends what the plan says and looks at all that comes.
class Session final : public bench::Handler, public Sleeper {
 public:
  enum class End : std::uint8_t { open, good, bad, empty };

  // The client's end, on a socket that may still be connecting. `on_end` may destroy the session.
  Session(World& world, base::Fd socket, const Plan& plan, std::function<void()> on_end);
  // The backend's end, which reads the plan from the client.
  Session(World& world, base::Fd socket, bool banner, std::function<void()> on_end);
  ~Session() override;

  // Holds a ping-pong after its first exchange, until release().
  void hold() { held_ = true; }
  void release();
  bool has_exchanged() const { return progress_.received >= plan_.message; }

  bool is_connected() const { return connected_; }
  End end() const { return end_; }
  Clock::time_point begun() const { return begun_; }
  // Ends it as bad if nothing came or went for that long, though something should have.
  void check_patience(Clock::duration patience, Clock::time_point now);
  void fail(bool wrong, const std::string& why);

  void on_ready(std::uint32_t events) override;
  void on_wake() override;

 private:
  void step(std::uint32_t events);
  bool wants_send() const;
  bool wants_receive() const { return !progress_.received_end; }
  bool has_plan() const { return side_ == Side::client || intro_received_ == intro_in_.size(); }
  std::uint64_t send_limit() const;
  void receive(Clock::time_point now);
  void receive_intro();
  void take_plan();
  void take(std::span<const std::byte> bytes);
  void send(Clock::time_point now);
  void send_intro();
  void send_end();
  void fail_by_errno(const char* what);
  void finish(End end);
  void update(Clock::time_point now);
  void watch(std::uint32_t events);
  void sleep_until(std::optional<Clock::time_point> at);
  std::string where() const;

  World& world_;
  base::Fd socket_;
  const Side side_;
  Plan plan_;
  std::function<void()> on_end_;
  const Clock::time_point begun_;

  // What goes before the plan's bytes: the plan itself one way, a banner the other.
  std::vector<std::byte> intro_out_;
  std::vector<std::byte> intro_in_;
  std::size_t intro_sent_ = 0;
  std::size_t intro_received_ = 0;

  Progress progress_;
  End end_ = End::open;
  bool connected_ = false;
  bool held_ = false;
  Pace send_pace_;
  Pace receive_pace_;
  Stopwatch sending_;
  Stopwatch receiving_;
  std::uint32_t watched_ = 0;
  std::optional<Clock::time_point> wakes_at_;
};

}  // namespace sc::traffic
