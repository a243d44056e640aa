#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "relay/loop_fixture.h"
#include "relay/tcp_pair.h"
#include "relay/worker_pool.h"
#include "support/catch.h"
#include "support/fake_fd_store.h"
#include "support/system_resolver.h"

namespace sc::test {

inline constexpr base::WallTime kNow{std::chrono::milliseconds{1'793'541'780'000}};

// It is what the test says whenever it is asked; what sessions are old by goes on.
struct StoppedClock final : base::Clock {
  base::WallTime now = kNow;
  std::string boot_of_host = "this boot";

  base::WallTime wall() const override { return now; }
  std::string boot_id() const override { return boot_of_host; }
  base::Instant steady() const override { return std::chrono::steady_clock::now(); }
};

// One life of the service: its vault and its pool, with the store's descriptors to begin with.
struct Process : LoopFixture {
  loop::Loop& control = loop;
  std::unique_ptr<handoff::Vault> vault;
  std::unique_ptr<relay::WorkerPool> pool;

  Process(FakeFdStore& manager, relay::WorkerPoolOptions options) {
    auto opened = handoff::Vault::open(manager.link(), manager.passed(), options.workers, 256);
    REQUIRE(opened);
    vault = std::move(*opened);
    options.vault = vault.get();
    pool = std::make_unique<relay::WorkerPool>(control, options, [](auto, auto, const auto&) {});
  }

  relay::HandOverReport hand_over() {
    std::optional<relay::HandOverReport> report;
    pool->hand_over([&](const auto& told) { report = told; });
    turn_until([&] { return report.has_value(); });
    return *report;
  }
};

// Processes one after the other; the test is manager, client and backend.
struct HandOverFixture {
  FakeFdStore manager;
  relay::WorkerPoolOptions options{2,
                                   {std::chrono::seconds(2), {}, {}, std::chrono::milliseconds(0)},
                                   *net::Address::parse_ip("127.0.0.1", 0),
                                   {},
                                   core::LoggedSessions::none,
                                   SystemResolver::options()};
  base::Fd backend = listen_on_loopback();
  StoppedClock clock;
  std::vector<core::Stream> rows;
  std::map<std::uint16_t, core::StoredTraffic> saved_traffic;
  std::optional<Process> process;

  HandOverFixture() { process.emplace(manager, options); }

  core::Stream& open(core::Durability durable = core::Durability::established) {
    core::Stream stream;
    stream.created_at = kNow - std::chrono::hours(1);
    stream.spec.backend = {"127.0.0.1", port_of(backend)};
    stream.spec.durable = durable;
    auto listener = process->pool->prepare(stream.spec);
    REQUIRE(listener);
    stream.spec.port = port_of(*listener);
    process->pool->activate(std::move(*listener), stream);
    return rows.emplace_back(stream);
  }

  using Pair = Carried;
  Pair connect(std::uint16_t port) const { return connect_through(port, backend); }
  static void talk(const Pair& pair) { CHECK(talks(pair)); }
  Pair connect_and_talk(std::uint16_t port) {
    Pair pair = connect(port);
    talk(pair);
    return pair;
  }

  void end_process() {
    process->hand_over();
    process.reset();
  }
  void begin_process() {
    process.emplace(manager, options);
    process->pool->inherit({rows, {}, {}, saved_traffic}, clock);
  }
  void open_streams() {
    for (const auto& [port, saved] : saved_traffic) process->pool->restore(port, saved.traffic);
    for (const core::Stream& stream : rows) {
      auto listener = process->pool->prepare(stream.spec);
      REQUIRE(listener);
      process->pool->activate(std::move(*listener), stream);
    }
    process->pool->settle();
  }
  void restart() {
    end_process();
    begin_process();
    open_streams();
  }

  // The latest first.
  std::vector<core::RunningSession> running() {
    std::optional<core::SessionPage> page;
    pool().sessions({}, [&](core::SessionPage told) { page = std::move(told); });
    process->turn_until([&] { return page.has_value(); });
    return page->sessions;
  }

  std::size_t stored(handoff::RecordKind kind) const {
    std::size_t count = 0;
    for (const handoff::StoredFd& each : manager.passed())
      if (each.name.starts_with(handoff::kCapsulePrefix))
        for (const auto& found : handoff::look_into(each.fd.get()))
          count += found.record.kind == kind ? 1 : 0;
    return count;
  }
  static bool is_reset(const base::Fd& fd) {
    wait_for_hangup(fd.get());
    return receive_some(fd).reset;
  }
  relay::WorkerPool& pool() { return *process->pool; }
};

}  // namespace sc::test
