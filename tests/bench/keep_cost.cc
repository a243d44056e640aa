// What it costs to keep a session for the next process and to keep it no more. Writes a JSON array:
// µs of CPU for each of the two, with what they cost now and then for a whole capsule.

#include <time.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/fd.h"
#include "handoff/session_record.h"
#include "net/address.h"
#include "relay/tcp_pair.h"
#include "systemd/fd_store.h"

namespace {

constexpr std::uint32_t kAtATime = 100;

double cpu_us() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

struct Cost {
  double push = 0;
  double drop = 0;
};

Cost measure(std::uint32_t sessions) {
  const sc::base::SystemClock clock;
  const auto queue = std::make_shared<sc::systemd::NotifyQueue>(clock);
  const sc::systemd::FdStore store(queue);
  const sc::handoff::StoreLink link{
      [&](const std::string& name, int fd) { return store.put(name, fd); },
      [&](const std::string& name) { store.remove(name); },
      [&](const std::string& name, int fd) { return store.put_later(name, fd); },
      [&] { return queue->flush() && store.is_busy(); }};
  auto table = sc::handoff::Table::make(2 * kAtATime);
  if (!table) throw std::runtime_error(table.error().message);
  sc::handoff::KeepCounters counters;
  sc::handoff::Keeper keeper(link, **table, counters, "cost");
  keeper.set_patience(std::chrono::hours(1));  // the stand-in for the manager may be slow
  const sc::test::TcpPair pair = sc::test::make_tcp_pair();
  sc::handoff::SessionFacts facts;
  facts.peer = *sc::net::Address::parse_ip("127.0.0.1", 1);
  std::vector<std::unique_ptr<sc::handoff::SessionRecord>> kept(kAtATime);
  Cost cost;
  for (std::uint32_t done = 0; done < sessions; done += kAtATime) {
    const double start = cpu_us();
    for (auto& each : kept)
      each = sc::handoff::SessionRecord::make(keeper, facts, pair.near.get(), pair.far.get());
    const double between = cpu_us();
    if (std::any_of(kept.begin(), kept.end(), [](const auto& each) { return !each; }))
      throw std::runtime_error("a session was not kept");
    const double again = cpu_us();
    for (auto& each : kept) each.reset();
    cost.push += between - start;
    cost.drop += cpu_us() - again;
  }
  return {cost.push / sessions, cost.drop / sessions};
}

}  // namespace

int main(int count, char** words) {
  std::uint32_t sessions = 0;
  if (count == 2) std::from_chars(words[1], words[1] + std::strlen(words[1]), sessions);
  if (sessions < kAtATime || sessions % kAtATime != 0) {
    std::fputs("usage: stream-conductor-keep-cost SESSIONS, in hundreds; needs NOTIFY_SOCKET\n",
               stderr);
    return 2;
  }
  try {
    const Cost cost = measure(sessions);
    std::printf("[%.3f, %.3f]\n", cost.push, cost.drop);
    return 0;
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "%s\n", failure.what());
    return 1;
  }
}
