#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "api/served_v1.h"
#include "support/catch.h"
#include "support/loop_until.h"

namespace sc::test {
namespace {

using api::EventHub;
using nlohmann::json;
using std::chrono::milliseconds;
using Watch = core::SessionBook::Watch;
struct Told {  // NOLINT(bugprone-exception-escape): json moves so
  std::string event;
  std::string id;
  json data;
};

core::EndedSession ended(std::uint16_t port, core::EndReason reason, core::SessionId id = 7) {
  core::EndedSession session;
  session.id = id;
  session.port = port;
  session.client = "127.0.0.1:5000";
  session.backend = *base::parse_host_port("db:2000");
  session.reason = reason;
  return session;
}

core::RunningSession accepted(std::uint16_t port, core::SessionId id = 7) {
  core::RunningSession session;
  session.id = id;
  session.port = port;
  session.client = "127.0.0.1:5000";
  session.backend = *base::parse_host_port("db:2000");
  return session;
}

struct Watched : ServedV1 {
  // Its head has come, and where history stands.
  Client& watch(const std::string& query = "", const std::string& headers = "") {
    Client& client = served.connect();
    client.send("GET /v1/events" + query + " HTTP/1.1\r\nHost: localhost\r\n" + headers + "\r\n");
    REQUIRE(
        served.turn_until([&] { return client.received.find("\r\n\r\n") != std::string::npos; }));
    const std::size_t end = client.received.find("\r\n\r\n") + 4;
    head = client.received.substr(0, end);
    client.received.erase(0, end);
    return client;
  }
  // All that is on its way comes: behind it a comment, which is not among what is given back.
  std::string text(Client& client) {
    for (int i = 0; i < 3; ++i) served.loop.run_once(false);
    std::string whole;
    std::string_view rest = client.received;
    while (!rest.empty()) {
      const std::size_t line = rest.find("\r\n");
      if (line == std::string_view::npos) break;
      const auto size = std::strtoul(std::string(rest.substr(0, line)).c_str(), nullptr, 16);
      if (rest.size() < line + 4 + size) break;
      whole += rest.substr(line + 2, size);
      rest.remove_prefix(line + 4 + size);
    }
    client.received.erase(0, client.received.size() - rest.size());
    return whole;
  }
  std::vector<Told> told(Client& client) {
    std::vector<Told> out;
    std::string rest = text(client);
    for (std::size_t end = 0; (end = rest.find("\n\n")) != std::string::npos;
         rest.erase(0, end + 2)) {
      Told told;
      std::string block = rest.substr(0, end + 1);
      for (std::size_t line = 0; (line = block.find('\n')) != std::string::npos;
           block.erase(0, line + 1)) {
        const std::string field = block.substr(0, line);
        if (field.starts_with("event: ")) told.event = field.substr(7);
        if (field.starts_with("id: ")) told.id = field.substr(4);
        if (field.starts_with("data: ")) told.data = json::parse(field.substr(6));
      }
      if (!told.event.empty()) out.push_back(std::move(told));
    }
    return out;
  }
  // "stream 3", "failure 9000", ...
  std::vector<std::string> story(Client& client) {
    std::vector<std::string> out;
    for (const Told& each : told(client))
      out.push_back(each.event + " " +
                    (each.id.empty() ? each.data.value("port", json()).dump() : each.id));
    return out;
  }
  // Recorded by somebody's commit.
  void record(std::uint16_t port, const std::string& note = "") {
    core::Event event;
    event.port = port;
    event.spec = spec(port);
    event.spec->note = note;
    on.store.commit({core::AppendEvent{event}}, [](const base::Result<void>&) {});
  }
  void answer_store() { on.store.answer_all(); }
  // What waits for so much time to pass is done.
  void elapse(milliseconds delay) {
    on.clock.advance(delay);
    for (auto& [each, function] : std::exchange(later, {})) {
      if (each == delay) {
        function();
      } else {
        later.emplace_back(each, std::move(function));
      }
    }
  }
  void tell(std::vector<core::SessionNote> notes, std::uint64_t missed = 0) {
    sessions.news = {std::move(notes), missed};
    elapse(EventHub::kNewsEvery);
  }
  void look() {
    elapse(EventHub::kLookEvery);
    token_store.answer();
  }

  std::string head;
};

TEST_CASE("events are told as they are recorded, in the form of server-sent events") {
  Watched v1;
  v1.record(9001);
  v1.answer_store();
  Client& client = v1.watch();
  CHECK(v1.head.starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(v1.head.find("Content-Type: text/event-stream\r\n") != std::string::npos);
  CHECK(v1.head.find("Cache-Control: no-store\r\n") != std::string::npos);
  CHECK(v1.text(client) == "retry: 1000\n\nid: 1\n\n");  // from now on

  v1.on.create_now(spec(9000));
  const std::string one = v1.text(client);
  CHECK(one.starts_with("event: stream\nid: 2\ndata: {"));
  CHECK(one.ends_with("}\n\n"));
  const json data = json::parse(one.substr(one.find('{')));
  CHECK(data == json::parse(v1.ask("GET", "/v1/history?limit=1").body)["events"][0]);
  CHECK(data["action"] == "created");

  v1.on.remove(9000);
  v1.answer_store();
  v1.on.plane.finish_closing();
  CHECK(v1.story(client) == std::vector<std::string>{"stream 3"});
}

TEST_CASE("what a client has not seen comes first, and nothing is lost or doubled where it joins") {
  Watched v1;
  for (int i = 0; i < 250; ++i) v1.record(9000);
  v1.answer_store();
  v1.served.handler = [&](const http::Request& request, http::Responder responder) {
    v1.routes.route(request, v1.caller, std::move(responder));
  };
  int expected = 250;
  SECTION("quiet") {}
  SECTION("while more is recorded") { expected += 40; }
  Client& client = v1.watch("", "Last-Event-ID: 17\r\n");
  CHECK(v1.on.store.waiting() == 1);
  // A commit before each answer, and one behind each second one.
  for (int i = 250; i < expected; ++i) {
    v1.record(9001);
    v1.on.store.answer_one();
    if (i % 2 == 0 && v1.on.store.waiting() > 0) v1.on.store.answer_one();
    v1.served.loop.run_once(false);
  }
  v1.answer_store();
  std::vector<std::string> ids;
  for (int id = 18; id <= expected; ++id) ids.push_back("stream " + std::to_string(id));
  std::vector<std::string> story;
  REQUIRE(v1.served.turn_until([&] {
    for (std::string& each : v1.story(client)) story.push_back(std::move(each));
    v1.answer_store();
    return story.size() >= ids.size();
  }));
  CHECK(story == ids);
  v1.record(9002);
  v1.answer_store();
  CHECK(v1.story(client) == std::vector<std::string>{"stream " + std::to_string(expected + 1)});
  CHECK(v1.on.store.waiting() == 0);
}

TEST_CASE("where a client goes on can be in the target, and the header is the later one") {
  Watched v1;
  for (int i = 0; i < 3; ++i) v1.record(9000);
  v1.answer_store();
  CHECK(v1.story(v1.watch("?last_event_id=0")).size() == 3);
  CHECK(v1.story(v1.watch("?last_event_id=1")) == std::vector<std::string>{"stream 2", "stream 3"});
  CHECK(v1.story(v1.watch("?last_event_id=1", "Last-Event-ID: 2\r\n")) ==
        std::vector<std::string>{"stream 3"});
  CHECK(v1.story(v1.watch("?last_event_id=1", "Last-Event-ID:\r\n")).size() == 2);
}

TEST_CASE("who has seen more than history has is told that it has missed something") {
  Watched v1;
  v1.record(9000);
  v1.answer_store();
  Client& client = v1.watch("", "Last-Event-ID: 99\r\n");
  CHECK(v1.text(client) ==
        "retry: 1000\n\nevent: missed\ndata: {\"of\":\"streams\",\"count\":null}\n\nid: 1\n\n");
  v1.record(9000);
  v1.answer_store();
  CHECK(v1.story(client) == std::vector<std::string>{"stream 2"});
}

TEST_CASE("a client that takes nothing has nothing of history kept for it, and gets it later") {
  Watched v1;
  constexpr int kEvents = 12'000;
  for (int i = 0; i < kEvents; ++i) v1.record(9000, std::string(1000, 'x'));
  v1.answer_store();
  Client& slow = v1.watch("?last_event_id=0&types=stream");
  slow.stop_reading();
  // Until no page is asked for, as it has not taken the last one.
  int pages = 0;
  do {
    turn(v1.served.loop);
    if (v1.on.store.waiting() == 0) break;
    v1.answer_store();
    ++pages;
  } while (pages < kEvents);
  CHECK(pages < kEvents / 100);
  Client& other = v1.watch();
  v1.record(9001);
  v1.answer_store();
  CHECK(v1.story(other) == std::vector<std::string>{"stream 12001"});
  CHECK(v1.events.watchers() == 2);

  slow.start_reading();
  std::vector<std::string> story;
  REQUIRE(v1.served.turn_until([&] {
    for (std::string& each : v1.story(slow)) story.push_back(std::move(each));
    v1.answer_store();
    return story.size() >= kEvents + 1;
  }));
  for (int i = 0; i <= kEvents; ++i)
    REQUIRE(story.at(static_cast<std::size_t>(i)) == "stream " + std::to_string(i + 1));
  CHECK(v1.served.server->slow_readers() == 0);
}

TEST_CASE("watchers at the same place cost the store one question, whatever ports they watch") {
  Watched v1;
  Client& first = v1.watch();
  Client& second = v1.watch();
  Client& third = v1.watch("?port=9001");
  v1.watch("?port=9002");
  v1.watch("?types=failure");
  for (const std::uint16_t port : std::vector<std::uint16_t>{9000, 9002, 9001, 9000}) {
    v1.record(port);
    v1.on.store.answer_one();
    CHECK(v1.on.store.waiting() == 1);
    v1.answer_store();
  }
  CHECK(v1.story(first).size() == 4);
  CHECK(v1.story(second).size() == 4);
  CHECK(v1.story(third) == std::vector<std::string>{"stream 3"});
}

TEST_CASE("a watcher of one port that is far behind is given none of the others' events to pass") {
  Watched v1;
  for (int i = 0; i < 250; ++i) v1.record(i == 20 || i == 240 ? 9001 : 9000);
  v1.answer_store();
  v1.watch();  // the store has said where history stands
  v1.answer_store();
  const std::size_t pages = v1.on.store.pages_of_history;
  Client& port = v1.watch("?port=9001&last_event_id=0");
  v1.answer_store();
  CHECK(v1.on.store.pages_of_history == pages + 1);
  CHECK(v1.story(port) == std::vector<std::string>{"stream 21", "stream 241"});
  v1.record(9000);
  v1.record(9001);
  v1.answer_store();
  CHECK(v1.story(port) == std::vector<std::string>{"stream 252"});
}

TEST_CASE("events can be those of one port, and of the types that are asked for") {
  Watched v1;
  Client& port = v1.watch("?port=9001&types=stream,failure,session");
  Client& usual = v1.watch();
  Client& streams = v1.watch("?types=stream");
  Client& session = v1.watch("?types=session");
  v1.record(9000);
  v1.record(9001);
  v1.answer_store();
  v1.tell({accepted(9000), ended(9000, core::EndReason::finished),
           ended(9001, core::EndReason::backend_refused)});
  CHECK(v1.story(port) == std::vector<std::string>{"stream 2", "failure 9001", "session 9001"});
  CHECK(v1.story(usual) == std::vector<std::string>{"stream 1", "stream 2", "failure 9001"});
  CHECK(v1.story(streams) == std::vector<std::string>{"stream 1", "stream 2"});
  const auto told = v1.told(session);
  REQUIRE(told.size() == 3);
  CHECK(told[0].data["change"] == "accepted");
  CHECK(told[0].data["state"] == "dialing");
  CHECK(told[1].data["change"] == "ended");
  CHECK(told[1].data["reason"] == "finished");
  CHECK(told[2].data["reason"] == "backend_refused");
}

TEST_CASE("sessions are asked for while somebody watches them, and no more than is watched") {
  Watched v1;
  v1.watch("?types=stream");
  CHECK(v1.sessions.watched.empty());
  v1.elapse(EventHub::kNewsEvery);
  CHECK(v1.sessions.asked == 0);
  v1.watch();
  CHECK(v1.sessions.watched == std::vector<Watch>{Watch::failures});
  Client& all = v1.watch("?types=session");
  CHECK(v1.sessions.watched == std::vector<Watch>{Watch::failures, Watch::sessions});
  all.reset();
  REQUIRE(v1.served.turn_until([&] { return v1.events.watchers() == 2; }));
  CHECK(v1.sessions.watched.back() == Watch::failures);
  v1.served.clients.clear();
  REQUIRE(v1.served.turn_until([&] { return v1.events.watchers() == 0; }));
  CHECK(v1.sessions.watched.back() == Watch::nothing);
  v1.elapse(EventHub::kNewsEvery);
  const int asked = v1.sessions.asked;
  v1.elapse(EventHub::kNewsEvery);
  CHECK(v1.sessions.asked == asked);
  CHECK(std::none_of(v1.later.begin(), v1.later.end(),
                     [](const auto& each) { return each.first == EventHub::kNewsEvery; }));
  // And again.
  Client& again = v1.watch();
  v1.tell({ended(9000, core::EndReason::denied)});
  CHECK(v1.story(again) == std::vector<std::string>{"failure 9000"});
}

TEST_CASE("what a session's end was comes with all that is known of it") {
  Watched v1;
  Client& client = v1.watch("?types=failure");
  core::EndedSession session = ended(9000, core::EndReason::backend_refused, 4711);
  session.phase = core::SessionPhase::connect;
  session.error = ECONNREFUSED;
  session.resolved_after = std::chrono::microseconds{40};
  session.ended_after = std::chrono::microseconds{1200};
  session.accepted_at = v1.on.clock.wall();
  session.tried = {{"10.1.0.1:2000", core::DialAttempt::Result::failed, ECONNREFUSED,
                    std::chrono::microseconds{41'007}}};
  v1.tell({session});
  const auto told = v1.told(client);
  REQUIRE(told.size() == 1);
  CHECK(told[0].id.empty());
  json expected = json::parse(R"({
    "id": "4711", "port": 9000, "client": "127.0.0.1:5000", "backend": "db:2000", "address": null,
    "reason": "backend_refused", "fault": "backend", "phase": "connect", "error": "ECONNREFUSED",
    "accepted_at": "2026-11-01T14:03:00.000Z", "resolved_after_ms": 0.04,
    "connected_after_ms": null, "first_byte_after_ms": null, "ended_after_ms": 1.2,
    "bytes_in": 0, "bytes_out": 0,
    "tried": [{"address": "10.1.0.1:2000", "result": "failed", "error": "ECONNREFUSED",
               "took_ms": 41.007}]})");
  expected["message"] = core::in_words(session);
  CHECK(told[0].data == expected);
}

TEST_CASE("a newcomer is told of no session from before it came") {
  Watched v1;
  Client& first = v1.watch();
  v1.sessions.news.notes = {ended(9000, core::EndReason::denied)};
  Client& second = v1.watch();
  CHECK(v1.story(first) == std::vector<std::string>{"failure 9000"});
  v1.tell({ended(9001, core::EndReason::denied)});
  CHECK(v1.story(first) == std::vector<std::string>{"failure 9001"});
  CHECK(v1.story(second) == std::vector<std::string>{"failure 9001"});
}

TEST_CASE("that notes were missed is told to those who watch sessions") {
  Watched v1;
  Client& failures = v1.watch("?types=failure");
  Client& streams = v1.watch("?types=stream");
  v1.tell({ended(9000, core::EndReason::denied)}, 12);
  const auto told = v1.told(failures);
  REQUIRE(told.size() == 2);
  CHECK(told[0].event == "missed");
  CHECK(told[0].data == json::parse(R"({"of": "sessions", "count": 12})"));
  CHECK(told[1].event == "failure");
  CHECK(v1.told(streams).empty());
  CHECK(v1.events.notes_missed() == 12);
}

TEST_CASE("who has heard nothing for a while gets a comment") {
  Watched v1;
  Client& busy = v1.watch();
  Client& quiet = v1.watch("?types=failure");
  v1.text(busy);
  v1.text(quiet);
  const auto looks = EventHub::kQuiet / EventHub::kLookEvery;
  for (int i = 1; i < looks; ++i) v1.look();
  v1.record(9000);
  v1.answer_store();
  v1.text(busy);
  CHECK(v1.text(quiet).empty());
  v1.look();
  CHECK(v1.text(quiet) == ":\n\n");
  CHECK(v1.text(busy).empty());
  for (int i = 1; i < looks; ++i) v1.look();
  CHECK(v1.text(quiet).empty());
  CHECK(v1.text(busy) == ":\n\n");
  v1.look();
  CHECK(v1.text(quiet) == ":\n\n");
}

TEST_CASE("what is asked for wrongly is refused") {
  Watched v1;
  for (const char* query : {"?port=0", "?port=x", "?types=", "?types=streams", "?types=stream,",
                            "?type=stream", "?last_event_id=", "?last_event_id=x",
                            "?last_event_id=-1", "?last_event_id=9223372036854775807"}) {
    INFO(query);
    CHECK(v1.ask("GET", std::string("/v1/events") + query).status == 400);
  }
  const Answer bad = v1.ask("GET", "/v1/events", "", "Last-Event-ID: abc\r\n");
  CHECK(bad.status == 400);
  CHECK_THAT(bad.body, Catch::Contains("Last-Event-ID"));
  CHECK(v1.ask("GET", "/v1/events", "", "Accept: application/json\r\n").status == 406);
  for (const char* accept : {"text/event-stream", "text/*", "*/*"})
    v1.watch("", std::string("Accept: ") + accept + "\r\n");
  CHECK(v1.events.watchers() == 3);
  CHECK(v1.ask("POST", "/v1/events").status == 405);
  CHECK(v1.ask("HEAD", "/v1/events").header_or_none("Content-Type") == "text/event-stream");
  CHECK(v1.events.watchers() == 3);
}

TEST_CASE("so many may watch, and one more when one has gone") {
  Watched v1;
  std::vector<Client*> clients;
  for (std::size_t i = 0; i < EventHub::kMostWatchers; ++i) clients.push_back(&v1.watch());
  CHECK(v1.events.is_full());
  const Answer refused = v1.ask("GET", "/v1/events");
  CHECK(refused.status == 503);
  CHECK(ServedV1::type_of(refused) == "urn:stream-conductor:problem:unavailable");
  CHECK(refused.header_or_none("Retry-After") == "5");
  clients.front()->reset();
  REQUIRE(v1.served.turn_until([&] { return !v1.events.is_full(); }));
  v1.watch();
  CHECK(v1.events.is_full());
}

TEST_CASE("the watchers of a token that is not good any more are ended, others are not") {
  Watched v1;
  v1.token_store.add("other", "other", core::Role::viewer);
  core::Token& token = v1.token_store.add("ci", "secret", core::Role::viewer);
  Client& trusted = v1.watch();
  v1.caller = core::to_caller(token);
  Client& client = v1.watch();
  v1.caller.token_sha256 = base::sha256_hex("other");
  Client& other = v1.watch();
  for (int i = 0; i < 2; ++i) v1.look();
  CHECK(v1.events.watchers() == 3);
  bool all = false;
  SECTION("revoked") { v1.token_store.revoke("ci"); }
  SECTION("over") {
    token.expires_at = v1.on.clock.wall() + EventHub::kLookEvery;
    v1.token_store.add("third", "third", core::Role::viewer);  // and told so
  }
  SECTION("nobody knows") {
    v1.on.clock.advance(api::TokenBook::kMostStale);
    v1.token_store.failure = base::Error{base::Errc::unavailable, "disk"};
    all = true;
  }
  for (int i = 0; i < (all ? 2 : 1); ++i) v1.look();  // a failing store answers one by one
  CHECK(v1.served.turn_until_end(client));
  CHECK(client.received.ends_with("0\r\n\r\n"));
  CHECK(v1.events.watchers() == (all ? 1 : 2));
  CHECK(other.ended == all);
  CHECK_FALSE(trusted.ended);
}

TEST_CASE("where history cannot be read its watchers are ended, to come again") {
  Watched v1;
  Client& streams = v1.watch();
  Client& failures = v1.watch("?types=failure");
  v1.record(9000);
  v1.on.store.answer_one();
  v1.on.store.failure = base::Error{base::Errc::unavailable, "disk"};
  v1.answer_store();
  CHECK(v1.served.turn_until_end(streams));
  CHECK(v1.events.watchers() == 1);
  CHECK_FALSE(failures.ended);
}

TEST_CASE("whoever does not take what is told of sessions is dropped, and others are not kept") {
  Watched v1;
  Client& slow = v1.watch("?types=session");
  Client& other = v1.watch("?types=session&port=9001");
  slow.stop_reading();
  const std::vector<core::SessionNote> notes(1000, accepted(9000));
  while (v1.events.watchers() == 2) {
    v1.tell(notes);
    turn(v1.served.loop);
  }
  CHECK(v1.served.server->slow_readers() == 1);
  v1.tell({accepted(9001)});
  CHECK(v1.story(other) == std::vector<std::string>{"session 9001"});
}

}  // namespace
}  // namespace sc::test
