#include "relay/session_log.h"

#include <cerrno>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "base/log.h"
#include "relay/pool_fixture.h"
#include "support/catch.h"
#include "support/loop_until.h"
#include "support/tcp_peer.h"

namespace sc::test {
namespace {

using namespace std::chrono_literals;
using base::log::Level;
using core::EndReason;
using core::LoggedSessions;
using relay::SessionLog;

struct Line {
  Level level;
  std::string sentence;
  std::map<std::string, std::string> fields;
};

// Catches the log's lines, of any thread.
struct Lines {
  Lines() {
    base::log::set_sink(
        [this](Level level, std::string_view sentence, std::span<const base::log::Field> all) {
          Line line{level, std::string(sentence), {}};
          for (const base::log::Field& field : all) line.fields.emplace(field.key, field.value);
          const std::lock_guard lock(mutex);
          lines.push_back(std::move(line));
        });
  }
  Lines(const Lines&) = delete;
  Lines& operator=(const Lines&) = delete;
  ~Lines() { base::log::set_sink({}); }

  std::vector<Line> ended() {
    const std::lock_guard lock(mutex);
    std::vector<Line> found;
    for (const Line& line : lines)
      if (line.sentence == "session ended") found.push_back(line);
    return found;
  }

  std::mutex mutex;
  std::vector<Line> lines;  // guarded by mutex
};

struct LogFixture : Lines {
  loop::Loop loop;
  SessionLog log{loop};

  static relay::SessionEnd make(EndReason reason) {
    relay::SessionEnd end;
    end.id = 4711;
    end.spec =
        std::make_shared<const relay::SessionSpec>(relay::SessionSpec{9000, {"db", 2000}, {}, {}});
    end.client = net::PackedAddress(*net::Address::parse_ip("10.0.0.9", 5000));
    end.reason = reason;
    end.phase = core::SessionPhase::connect;
    end.ended_after = 1234us;
    return end;
  }
};

TEST_CASE_METHOD(LogFixture, "a line has the fields that the manual names, and none of no value") {
  relay::SessionEnd end = make(EndReason::backend_refused);
  end.error = ECONNREFUSED;
  log.ended(end);
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].level == Level::warning);
  CHECK(lines[0].sentence == "session ended");
  CHECK(lines[0].fields ==
        std::map<std::string, std::string>{{"session", "4711"},
                                           {"port", "9000"},
                                           {"client", "10.0.0.9:5000"},
                                           {"backend", "db:2000"},
                                           {"reason", "backend_refused"},
                                           {"fault", "backend"},
                                           {"phase", "connect"},
                                           {"error", "ECONNREFUSED"},
                                           {"bytes_in", "0"},
                                           {"bytes_out", "0"},
                                           {"duration_ms", "1.234"},
                                           {"message", core::in_words(relay::to_told(end))}});
  end = make(EndReason::finished);
  end.address = net::PackedAddress(*net::Address::parse_ip("::1", 2000));
  end.times.connected = 300;
  end.times.first_byte = 1'000'007;
  end.bytes_in = 5;
  log.ended(end);
  REQUIRE(lines.size() == 2);
  CHECK(lines[1].fields.at("address") == "[::1]:2000");
  CHECK(lines[1].fields.at("connect_ms") == "0.300");
  CHECK(lines[1].fields.at("first_byte_ms") == "1000.007");
  CHECK(lines[1].fields.at("bytes_in") == "5");
  CHECK_FALSE(lines[1].fields.contains("error"));
}

TEST_CASE_METHOD(LogFixture, "what the backend's side or the service did is a warning") {
  for (std::size_t i = 0; i < core::kEndReasons; ++i) {
    const auto reason = static_cast<EndReason>(i);
    const core::Fault fault = core::fault_of(reason);
    CAPTURE(core::to_string(reason));
    lines.clear();
    log.ended(make(reason));
    REQUIRE(lines.size() == 1);
    CHECK(lines[0].fields.at("reason") == core::to_string(reason));
    CHECK((lines[0].level == Level::warning) ==
          (fault == core::Fault::backend || fault == core::Fault::service));
  }
}

TEST_CASE_METHOD(LogFixture,
                 "of too many in a second the number is told, and the next come again") {
  const auto until_told = [&](std::size_t count) {
    return loop_until(loop, [&] { return lines.size() > count; });
  };
  constexpr std::size_t kMost = SessionLog::kMostPerSecond;
  for (std::size_t i = 0; i < kMost + 7; ++i) log.ended(make(EndReason::backend_refused));
  CHECK(lines.size() == kMost);
  REQUIRE(until_told(kMost));
  CHECK(lines.back().sentence == "sessions ended without a line each, as they were too many");
  CHECK(lines.back().level == Level::warning);
  CHECK(lines.back().fields ==
        std::map<std::string, std::string>{{"sessions", "7"}, {"failed", "7"}, {"finished", "0"}});
  log.ended(make(EndReason::backend_refused));
  CHECK(lines.size() == kMost + 2);
  log.flush();
  CHECK(lines.size() == kMost + 2);  // nothing is left to be told
}

TEST_CASE_METHOD(LogFixture, "sessions that finished push out no line of one that failed") {
  constexpr std::size_t kMost = SessionLog::kMostPerSecond;
  for (std::size_t i = 0; i < kMost + 3; ++i) log.ended(make(EndReason::finished));
  CHECK(lines.size() == kMost);
  for (std::size_t i = 0; i < kMost; ++i) log.ended(make(EndReason::backend_refused));
  REQUIRE(lines.size() == 2 * kMost);
  CHECK(lines.back().fields.at("reason") == "backend_refused");
  log.flush();
  REQUIRE(lines.size() == 2 * kMost + 1);
  CHECK(lines.back().level == Level::info);  // nothing went wrong of which there is no line
  CHECK(lines.back().fields ==
        std::map<std::string, std::string>{{"sessions", "3"}, {"failed", "0"}, {"finished", "3"}});
  log.ended(make(EndReason::finished));
  log.ended(make(EndReason::backend_reset));
  log.flush();
  CHECK(lines.back().level == Level::warning);
  CHECK(lines.back().fields ==
        std::map<std::string, std::string>{{"sessions", "2"}, {"failed", "1"}, {"finished", "1"}});
}

TEST_CASE_METHOD(LogFixture, "clients that break off push out no line of a backend that is down") {
  constexpr std::size_t kMost = SessionLog::kMostPerSecond;
  for (std::size_t i = 0; i < kMost + 3; ++i) log.ended(make(EndReason::client_reset));
  for (std::size_t i = 0; i < kMost; ++i) log.ended(make(EndReason::backend_refused));
  REQUIRE(lines.size() == 2 * kMost);
  CHECK(lines.back().fields.at("reason") == "backend_refused");
  log.flush();
  CHECK(lines.back().level == Level::info);  // what is trouble has its lines
  CHECK(lines.back().fields ==
        std::map<std::string, std::string>{{"sessions", "3"}, {"failed", "3"}, {"finished", "0"}});
}

TEST_CASE("the service logs all sessions, the failed ones or none, as it is set") {
  Lines log;
  loop::Loop control;
  relay::WorkerPoolOptions options{1, {2s, 0ms, {}}, *net::Address::parse_ip("127.0.0.1", 0)};
  options.logged_sessions =
      GENERATE(LoggedSessions::all, LoggedSessions::failed, LoggedSessions::none);
  relay::WorkerPool pool(control, options, [](std::uint16_t, core::Reach, const std::string&) {});
  const base::Fd backend = listen_on_loopback();
  const ClosedPort closed;
  const auto open = [&](std::uint16_t backend_port) {
    auto listener = pool.prepare(at(0));
    REQUIRE(listener);
    const std::uint16_t port = port_of(*listener);
    pool.activate(std::move(*listener), stream_at(port, "127.0.0.1", backend_port));
    return port;
  };
  const auto count = [&](std::uint16_t port, EndReason reason, std::uint64_t times) {
    REQUIRE(loop_until_seen(control, [&] {
      return pool.traffic(port).ended.at(static_cast<std::size_t>(reason)) == times;
    }));
  };
  const auto good = open(port_of(backend));
  const auto bad = open(closed.port());
  const auto visit_both = [&](std::uint64_t times) {
    {
      const base::Fd client = connect_to(good);
      const base::Fd accepted = accept_one(backend.get()).fd;
      send_all(accepted, "hello");
      end_writes(client);
      end_writes(accepted);
      count(good, EndReason::finished, times);
    }
    const auto client = net::start_connect(*net::Address::parse_ip("127.0.0.1", bad));
    count(bad, EndReason::backend_refused, times);
  };
  visit_both(1);
  const auto lines = log.ended();
  REQUIRE(lines.size() == (options.logged_sessions == LoggedSessions::all      ? 2
                           : options.logged_sessions == LoggedSessions::failed ? 1
                                                                               : 0));
  if (!lines.empty()) CHECK(lines.back().fields.at("reason") == "backend_refused");
  pool.set_logged_sessions(LoggedSessions::all);
  visit_both(2);
  CHECK(log.ended().size() == lines.size() + 2);
}

}  // namespace
}  // namespace sc::test
