#include <string>
#include <vector>

#include "core/event.h"
#include "core/port_range.h"
#include "core/reconcile.h"
#include "core/retry_schedule.h"
#include "core/stream.h"
#include "support/catch.h"

namespace sc::core {
namespace {

TEST_CASE("port ranges include both ends and are merged") {
  const auto ranges = PortRanges::parse("9005-9009,9000-9004,8080,9003-9006");
  REQUIRE(ranges);
  CHECK(ranges->to_string() == "8080,9000-9009");
  CHECK(ranges->size() == 11);
  CHECK(ranges->contains(9000));
  CHECK(ranges->contains(9009));
  CHECK_FALSE(ranges->contains(9010));
  CHECK_FALSE(ranges->contains(8999));
  CHECK(PortRanges::parse("1-65535")->size() == 65535);
  CHECK(*PortRanges::parse(ranges->to_string()) == *ranges);
}

TEST_CASE("what is no list of port ranges is refused") {
  for (const char* text : {"", "9000-", "-9000", "9009-9000", "0-10", "1-65536", "9000,", ",9000",
                           "9000 - 9009", "9000-9005-9009", "abc", "09000"}) {
    INFO(text);
    const auto ranges = PortRanges::parse(text);
    REQUIRE_FALSE(ranges);
    CHECK(ranges.error().code == base::Errc::invalid);
  }
}

TEST_CASE("a spec needs a port and a backend that can be dialed") {
  CHECK(make_spec("9000", "[::1]:22")->backend.host == "::1");
  for (const auto& [port, backend] :
       std::vector<std::pair<std::string, std::string>>{{"99999", "a:1"},
                                                        {"0", "a:1"},
                                                        {"x", "a:1"},
                                                        {"9000", "bad"},
                                                        {"9000", "a;b:1"},
                                                        {"9000", "a\n:1"},
                                                        {"9000", "a:0"},
                                                        {"9000", ":1"},
                                                        {"9000", ""}}) {
    INFO(port << " " << backend);
    CHECK_FALSE(make_spec(port, backend));
  }
}

TEST_CASE("how durable a stream is, is read back as it is written") {
  for (const auto durable : {Durability::off, Durability::established, Durability::early})
    CHECK(parse_durability(to_string(durable)) == durable);
  for (const char* text : {"", "Off", "on", "always"}) CHECK_FALSE(parse_durability(text));
}

TEST_CASE("event actions are read back as they are written") {
  for (const auto action : {EventAction::created, EventAction::changed, EventAction::removed,
                            EventAction::opened, EventAction::failed, EventAction::reopened})
    CHECK(parse_event_action(to_string(action)) == action);
  CHECK_FALSE(parse_event_action("deleted"));
}

TEST_CASE("reconcile closes, changes and opens what differs, and nothing else") {
  const auto stream = [](std::uint16_t port, const std::string& backend) {
    Stream out;
    out.spec = *make_spec(std::to_string(port), backend);
    return out;
  };
  const auto describe = [](const std::vector<ReconcileAction>& actions) {
    std::string text;
    for (const auto& action : actions) {
      if (const auto* closing = std::get_if<CloseStream>(&action))
        text += "close " + std::to_string(closing->seen.spec.port) + ";";
      if (const auto* changing = std::get_if<ChangeStream>(&action))
        text += "change " + std::to_string(changing->stream.spec.port) + ";";
      if (const auto* opening = std::get_if<OpenStream>(&action))
        text += "open " + std::to_string(opening->stream.spec.port) + ";";
    }
    return text;
  };
  struct Row {
    std::vector<Stream> desired;
    std::vector<Stream> running;
    std::string actions;
  };
  const Row rows[] = {
      {{}, {}, ""},
      {{stream(1, "a:1")}, {}, "open 1;"},
      {{}, {stream(1, "a:1")}, "close 1;"},
      {{stream(1, "a:1")}, {stream(1, "a:1")}, ""},
      {{stream(1, "b:1")}, {stream(1, "a:1")}, "change 1;"},
      {{stream(1, "a:1"), stream(3, "c:2")},
       {stream(2, "b:1"), stream(3, "c:1")},
       "close 2;change 3;open 1;"},
      {{stream(2, "a:1")}, {stream(1, "a:1"), stream(3, "a:1")}, "close 1;close 3;open 2;"},
  };
  for (const Row& row : rows) CHECK(describe(reconcile(row.desired, row.running)) == row.actions);
}

TEST_CASE("a link-local address without a zone is refused for new streams, not for stored ones") {
  StreamSpec spec;
  spec.port = 9000;
  spec.backend = {"fe80::1", 80};
  CHECK(validate(spec));
  const auto refused = check_zones(spec);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().field == "/backend");
  CHECK(
      refused.error().message ==
      "backend \"[fe80::1]:80\" is a link-local address without a zone: name the interface, as in "
      "[fe80::1%eth0]:80");
  spec.backend.host = "fe80::1%eth0";
  CHECK(check_zones(spec));
  spec.listen_address = "fe80::2";
  CHECK_FALSE(check_zones(spec));
}

TEST_CASE("a multicast address is refused as a listen address and as a backend") {
  StreamSpec spec;
  spec.port = 9000;
  for (const char* group : {"224.0.0.1", "239.255.255.255", "255.255.255.255", "ff02::1",
                            "::ffff:224.0.0.1", "::ffff:255.255.255.255"}) {
    INFO(group);
    spec.backend = {group, 80};
    spec.listen_address = group;
    CHECK(validate(spec));
    const auto refused = check_groups(spec);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().field == "/listen_address");
    REQUIRE(refused.error().more.size() == 1);
    CHECK(refused.error().more.front().field == "/backend");
  }
  for (const char* host : {"", "223.255.255.255", "240.0.0.1", "0.0.0.0", "::", "fe80::1%eth0",
                           "::ffff:127.0.0.1", "ff02", "224.example"}) {
    INFO(host);
    spec.backend = {host, 80};
    spec.listen_address = host;
    CHECK(check_groups(spec));
  }
}

TEST_CASE(
    "a retry waits twice as long each time, to a minute, and starts anew after it was forgotten") {
  RetrySchedule schedule;
  const base::Instant now{};
  CHECK_FALSE(schedule.next());
  for (const int wait : {1, 2, 4, 8, 16, 32, 60, 60}) {
    schedule.failed(9000, now);
    CHECK(*schedule.next() - now == std::chrono::seconds(wait));
  }
  schedule.failed(9001, now);
  CHECK(*schedule.next() - now == std::chrono::seconds(1));
  CHECK(schedule.due(now + std::chrono::seconds(1)) == std::vector<std::uint16_t>{9001});
  schedule.forget(9000);
  schedule.failed(9000, now);
  CHECK(schedule.due(now + std::chrono::seconds(1)) == std::vector<std::uint16_t>{9000, 9001});
}

}  // namespace
}  // namespace sc::core
