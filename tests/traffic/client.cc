#include "traffic/client.h"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "bench/sockets.h"
#include "traffic/session.h"

namespace sc::traffic {
namespace {

constexpr auto kPatienceCheck = std::chrono::milliseconds(250);

// The sessions of a run and their ends.
class Crowd {
 public:
  Crowd(const sockaddr_in& target, std::chrono::milliseconds patience)
      : target_(target), patience_(patience) {}

  // Connects the next one; nothing if that failed at once.
  Session* open(Plan plan) {
    plan.seed = started_;
    auto socket = bench::start_connect(target_, bench::source_address(started_));
    ++started_;
    if (!socket) {
      world_.outcome.add_bad({.sentence = socket.error().message});
      return nullptr;
    }
    auto session = std::make_unique<Session>(world_, *std::move(socket), plan,
                                             [this, number = plan.seed] { on_end(number); });
    return (sessions_[plan.seed] = std::move(session)).get();
  }

  // Ends when something has happened, at most at `until`.
  void turn(Clock::time_point until) {
    world_.turn(std::min(until, next_check_));
    const auto now = Clock::now();
    if (now < next_check_) return;
    next_check_ = now + kPatienceCheck;
    std::vector<Session*> open;
    for (const auto& [number, session] : sessions_) open.push_back(session.get());
    for (Session* session : open) session->check_patience(patience_, now);
  }

  World& world() { return world_; }
  const auto& sessions() const { return sessions_; }
  std::uint64_t started() const { return started_; }

 private:
  void on_end(std::uint64_t number) {
    const auto found = sessions_.find(number);
    if (found->second->end() == Session::End::good)
      world_.outcome.add_latency(Clock::now() - found->second->begun());
    sessions_.erase(found);
  }

  sockaddr_in target_;
  std::chrono::milliseconds patience_;
  World world_;
  std::uint64_t started_ = 0;
  Clock::time_point next_check_ = Clock::now() + kPatienceCheck;
  std::unordered_map<std::uint64_t, std::unique_ptr<Session>> sessions_;
};

bool report(const Outcome& outcome) {
  std::puts(outcome.text().c_str());
  return outcome.bad() == 0;
}

// All at once would overflow the listener's queue, and what does not fit in comes a second later.
void open_all(Crowd& crowd, const ClientOptions& options) {
  constexpr std::size_t kMostConnecting = 128;
  std::vector<std::uint64_t> connecting;
  while (crowd.started() < options.sessions || !connecting.empty()) {
    while (crowd.started() < options.sessions && connecting.size() < kMostConnecting) {
      Plan plan = options.plan;
      plan.mode = options.modes[crowd.started() % options.modes.size()];
      const std::uint64_t number = crowd.started();
      Session* session = crowd.open(plan);
      if (session == nullptr) continue;
      if (options.hold) session->hold();
      connecting.push_back(number);
    }
    crowd.turn(Clock::now() + std::chrono::seconds(1));
    std::erase_if(connecting, [&](std::uint64_t number) {
      const auto found = crowd.sessions().find(number);
      if (found == crowd.sessions().end()) return true;
      return options.hold ? found->second->has_exchanged() : found->second->is_connected();
    });
  }
}

}  // namespace

bool run_client(const ClientOptions& options) {
  Crowd crowd(options.target, options.patience);
  open_all(crowd, options);
  std::printf("{\"open\": %llu}\n", static_cast<unsigned long long>(crowd.started()));
  std::fflush(stdout);
  if (options.hold) {
    const bench::InputEnd input(crowd.world().reactor);
    while (!input.reached()) crowd.turn(Clock::now() + std::chrono::seconds(1));
    for (const auto& [number, session] : crowd.sessions()) session->release();
  }
  while (!crowd.sessions().empty()) crowd.turn(Clock::now() + std::chrono::seconds(1));
  return report(crowd.world().outcome);
}

bool run_rate(const RateOptions& options) {
  constexpr std::uint64_t kRequest = 100;
  constexpr std::uint64_t kReply = 1000;
  const Plan plan{.up = kRequest - sizeof(Plan),
                  .down = kReply,
                  .send_rate = options.rate,
                  .mode = Mode::reply};
  Crowd crowd(options.target, options.patience);
  const auto start = Clock::now();
  const auto count = static_cast<std::uint64_t>(options.per_second * options.seconds);
  const auto due = [&](std::uint64_t number) {
    const std::chrono::duration<double> after(static_cast<double>(number) / options.per_second);
    return start + std::chrono::duration_cast<Clock::duration>(after);
  };
  while (crowd.started() < count || !crowd.sessions().empty()) {
    const auto now = Clock::now();
    while (crowd.started() < count && due(crowd.started()) <= now) crowd.open(plan);
    crowd.turn(crowd.started() < count ? due(crowd.started()) : now + std::chrono::seconds(1));
  }
  return report(crowd.world().outcome);
}

}  // namespace sc::traffic
