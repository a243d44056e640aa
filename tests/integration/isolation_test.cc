#include <SQLiteCpp/SQLiteCpp.h>

#include <future>
#include <nlohmann/json.hpp>
#include <string>

#include "integration/daemon_fixture.h"
#include "integration/repeated.h"
#include "support/catch.h"

namespace sc::test {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

constexpr auto kHeldFor = 5s;
constexpr auto kPause = 250ms;  // nobody who does not need the disk waits longer

// What somebody who does not need the disk has seen of it.
void check_undisturbed(const std::string& who, const Repeated::Report& report) {
  INFO(who);
  CHECK(report.failure.empty());
  CHECK(report.slowest < stretched(kPause));
  CHECK(report.turns > 0);
}

struct HeldStoreFixture : DaemonFixture {
  std::uint16_t second = static_cast<std::uint16_t>(first + 1);

  // 64 bytes there and back; throws if they do not come.
  static void round_trip(const Pair& pair) {
    const std::string sent(64, 'x');
    for (const auto& [from, to] :
         {std::pair(&pair.client, &pair.backend), {&pair.backend, &pair.client}}) {
      send_all(*from, sent);
      std::string got;
      while (got.size() < sent.size()) {
        wait_for(to->get(), POLLIN);
        const Received part = receive_some(*to);
        if (part.ended || part.reset) throw std::runtime_error("the session ended");
        got += part.bytes;
      }
      if (got != sent) throw std::runtime_error("other bytes came than were sent");
    }
  }
  // Throws if the answer is another one.
  void expect(const std::string& target, const json& answer) const {
    const Reply reply = daemon->get(target);
    if (reply.status != 200 || json::parse(reply.body) != answer)
      throw std::runtime_error(target + " is answered " + reply.body);
  }
  // A client of a port that is about to be opened, in its backlog.
  static base::Fd connect_early(std::uint16_t port) {
    const auto give_up = std::chrono::steady_clock::now() + 10s;
    while (true) {
      try {
        return connect_to(port);
      } catch (const std::runtime_error&) {
        if (std::chrono::steady_clock::now() > give_up) throw;
      }
    }
  }
  int rows(std::uint16_t port) const {
    const SQLite::Database database((state.path() / "stream-conductor.db").string(),
                                    SQLite::OPEN_READONLY, 5000);
    SQLite::Statement count(database, "SELECT count(*) FROM streams WHERE port = ?");
    count.bind(1, static_cast<int>(port));
    count.executeStep();
    return count.getColumn(0);
  }
};

TEST_CASE_METHOD(HeldStoreFixture,
                 "a disk that hangs for five seconds delays no byte, no client and no read") {
  REQUIRE(create(first) == "ok");
  const Pair old = connect(first);
  const json running = json::parse(daemon->get("/getstreams").body);
  const json status = json::parse(daemon->get("/status").body);

  std::promise<void> gate = daemon->hold_store();
  auto held = std::async(std::launch::async, [this] { return create(second); });
  Pair early;
  early.client = connect_early(second);
  Repeated bytes([&] { round_trip(old); });
  Repeated clients([&] { round_trip(connect(first)); });
  Repeated listing([&] { expect("/getstreams", running); });
  Repeated asking([&] {
    expect("/hasstream/" + std::to_string(first), {{"result", "true"}});
    expect("/hasstream/" + std::to_string(second), {{"result", "false"}});
  });
  Repeated looking([&] {
    const Reply reply = daemon->get("/status");
    if (json::parse(reply.body)["range"] != status["range"])
      throw std::runtime_error("/status is answered " + reply.body);
  });
  CHECK(held.wait_for(kHeldFor) == std::future_status::timeout);
  CHECK(rows(second) == 0);
  check_undisturbed("a session's bytes", bytes.stop());
  check_undisturbed("new clients of a stream", clients.stop());
  check_undisturbed("GET /getstreams", listing.stop());
  check_undisturbed("GET /hasstream", asking.stop());
  check_undisturbed("GET /status", looking.stop());

  gate.set_value();
  CHECK(held.get() == "ok");
  CHECK(rows(second) == 1);
  early.backend = accept_one(backend.get()).fd;
  round_trip(early);
  round_trip(connect(second));
}

}  // namespace
}  // namespace sc::test
