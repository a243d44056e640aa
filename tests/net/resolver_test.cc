#include "net/resolver/resolver.h"

#include <algorithm>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "net/resolver/system_lookup.h"
#include "net/resolver_fixture.h"
#include "support/fake_host.h"

// Sharing, caching, stale answers and the files.
namespace sc::test {
namespace {

using namespace std::chrono_literals;
using Failure = net::NameAnswer::Failure;
using Ips = std::vector<std::string>;

TEST_CASE_METHOD(ResolverFixture, "600 sessions that ask at once, on two loops, cost one query") {
  DnsScript slow = found({"127.0.0.5"});
  slow.delay = 250ms;
  first.set("db.test", Type::a, slow);
  const auto wanted = name("db.test");
  int answers = 0;
  std::vector<std::unique_ptr<net::Lookup>> lookups;
  const auto ask = [&](net::ResolverClient& from) {
    for (int i = 0; i < 300; ++i)
      lookups.push_back(std::make_unique<net::Lookup>(
          from, wanted, [&](const auto& answer) { answers += answer->failure == Failure::none; }));
  };
  net::ResolverClient other(loop, *resolver);
  ask(*client);
  ask(other);
  CHECK(loop_until(loop, [&] { return answers == 600; }));
  CHECK(first.asked("db.test", Type::a) == 1);
  CHECK(first.asked("db.test", Type::aaaa) == 1);
  lookups.clear();
  resolver->stop();
}

TEST_CASE_METHOD(ResolverFixture, "40 sessions of a silent name hold up no other name") {
  first.set("silent.test", failing(How::is_silent));
  first.set("db.test", Type::a, found({"127.0.0.5"}));
  write("hosts", "127.0.0.7 web\n");
  start();
  std::vector<std::unique_ptr<net::Lookup>> lookups;
  int answers = 0;
  for (int i = 0; i < 40; ++i)
    lookups.push_back(std::make_unique<net::Lookup>(
        *client, name("silent" + std::string(i % 2 == 0 ? "" : std::to_string(i)) + ".test"),
        [&](const auto&) { ++answers; }));
  for (const char* other : {"web", "localhost", "db.test"}) {
    CAPTURE(other);
    CHECK_FALSE(ips(other).empty());
    CHECK(took < 200ms);
  }
  CHECK(answers < 40);
}

TEST_CASE_METHOD(ResolverFixture,
                 "a look-up that is cancelled is not answered, and harms no other") {
  first.set("db.test", Type::a, found({"127.0.0.5"}));
  const auto wanted = name("db.test");
  bool is_called = false;
  auto gone =
      std::make_unique<net::Lookup>(*client, wanted, [&](const auto&) { is_called = true; });
  std::unique_ptr<net::Lookup> victim;
  bool is_victim_called = false;
  bool is_done = false;
  const net::Lookup killer(*client, wanted, [&](const auto&) {
    victim.reset();
    is_done = true;
  });
  victim =
      std::make_unique<net::Lookup>(*client, wanted, [&](const auto&) { is_victim_called = true; });
  gone.reset();
  CHECK(loop_until(loop, [&] { return is_done; }));
  turn(loop);
  CHECK_FALSE(is_called);
  CHECK_FALSE(is_victim_called);
}

TEST_CASE_METHOD(ResolverFixture, "a name that comes back while its renewal fails has its answer") {
  first.set("db.test", Type::a, found({"127.0.0.5"}, 60));
  ips("db.test");
  const std::weak_ptr<net::Name> former = held.back();
  held.clear();  // its stream is removed, and created again
  REQUIRE(
      loop_until_seen(loop, [&] { return former.expired(); }));  // the resolver's thread had it too
  DnsScript failing_late = refusing(2);
  failing_late.delay = 200ms;
  first.set("db.test", failing_late);
  const auto wanted = name("db.test");
  REQUIRE(wanted->answer() == nullptr);
  resolver->look_ahead(wanted);  // this look-up does not use the answer that is there
  const auto answer = look_up("db.test");
  CHECK(answer->failure == Failure::none);
  CHECK(answer->addresses.size() == 1);
  CHECK_FALSE(answer->is_stale);
  REQUIRE(first.asked("db.test", Type::a) == 2);
  CHECK(wanted->last_failure());
}

TEST_CASE_METHOD(ResolverFixture, "a look-up is answered even if its caller lets the name go") {
  DnsScript slow = found({"127.0.0.5"});
  slow.delay = 100ms;
  first.set("db.test", Type::a, slow);
  start();
  auto wanted = resolver->name("db.test");
  std::shared_ptr<const net::NameAnswer> answer;
  const net::Lookup lookup(*client, wanted, [&](auto told) { answer = std::move(told); });
  wanted.reset();
  REQUIRE(loop_until(loop, [&] { return answer != nullptr; }));
  CHECK(answer->failure == Failure::none);
}

TEST_CASE_METHOD(ResolverFixture, "failures are cached for a short time") {
  first.set("gone.test", refusing(3));
  first.set("bad.test", refusing(2));
  look_up("gone.test");
  look_up("bad.test");
  clock.advance(999ms);
  look_up("gone.test");
  CHECK(was_cached);
  look_up("bad.test");
  CHECK(was_cached);
  clock.advance(1ms);
  look_up("bad.test");
  CHECK_FALSE(was_cached);
  clock.advance(2s);
  first.set("gone.test", Type::a, found({"127.0.0.5"}));
  CHECK(ips("gone.test") == Ips{"127.0.0.5"});
}

TEST_CASE_METHOD(ResolverFixture, "a family without addresses is not asked for at each look-up") {
  first.set("db.test", Type::a, found({"127.0.0.5"}, 1));
  for (int i = 0; i < 5; ++i) {
    CHECK(ips("db.test") == Ips{"127.0.0.5"});
    clock.advance(1s);
  }
  CHECK(first.asked("db.test", Type::a) >= 5);
  CHECK(first.asked("db.test", Type::aaaa) == 1);
  clock.advance(30s);
  first.set("db.test", Type::aaaa, found({"::1"}, 1));
  CHECK(ips("db.test").size() == 2);
}

TEST_CASE_METHOD(ResolverFixture,
                 "while servers are silent stale addresses are served, and shown") {
  options.stale = 1min;
  first.set("db.test", Type::a, found({"127.0.0.5"}, 10));
  ips("db.test");
  first.set("db.test", failing(How::is_silent));
  clock.advance(11s);
  auto answer = look_up("db.test");
  CHECK(answer->is_stale);
  CHECK(answer->addresses.size() == 1);
  CHECK(took < 1900ms);
  answer = look_up("db.test");
  CHECK(was_cached);  // later clients do not wait
  CHECK(answer->is_stale);
  REQUIRE(loop_until_seen(loop, [&] { return held.front()->last_failure().has_value(); }));
  CHECK(held.front()->last_failure()->message.find("no DNS server answered") == 0);
  clock.advance(1min);
  answer = look_up("db.test");
  CHECK(answer->failure == Failure::silent);
  first.set("db.test", Type::a, found({"127.0.0.6"}, 10));
  clock.advance(2s);
  CHECK(ips("db.test") == Ips{"127.0.0.6"});
  CHECK_FALSE(look_up("db.test")->is_stale);
}

TEST_CASE_METHOD(ResolverFixture, "a stale name is fresh again soon after a server answers") {
  first.set("db.test", Type::a, found({"127.0.0.5"}, 1));
  ips("db.test");
  first.set("db.test", refusing(2));
  clock.advance(2s);
  CHECK(look_up("db.test")->is_stale);
  first.set("db.test", Type::a, found({"127.0.0.6"}, 60));
  clock.advance(net::Resolver::kStaleRetry + 1s);
  held.push_back(resolver->name("other.test"));
  look_up("other.test");  // the clock stands still for the resolver's timers: this wakes it
  CHECK(loop_until_seen(loop, [&] { return !look_up("db.test")->is_stale; }));
}

TEST_CASE_METHOD(ResolverFixture, "that a name is gone ends its stale addresses at once") {
  first.set("db.test", Type::a, found({"127.0.0.5"}, 1));
  ips("db.test");
  first.set("db.test", refusing(3));
  clock.advance(2s);
  CHECK(look_up("db.test")->failure == Failure::not_found);
}

TEST_CASE_METHOD(ResolverFixture, "without resolve_stale nothing is served after its TTL") {
  options.stale = 0ms;
  first.set("db.test", Type::a, found({"127.0.0.5"}, 1));
  ips("db.test");
  first.set("db.test", refusing(2));
  clock.advance(2s);
  CHECK(look_up("db.test")->failure == Failure::broken);
}

TEST_CASE_METHOD(ResolverFixture, "a name of the hosts file is no question for a DNS server") {
  write("hosts", "127.0.0.7 web.test\n");
  CHECK(ips("WEB.test") == Ips{"127.0.0.7"});
  CHECK(look_up("web.test")->source == net::NameSource::hosts);
  CHECK(first.asked() == 0);
}

TEST_CASE_METHOD(ResolverFixture, "localhost never leaves the host") {
  for (const char* text : {"localhost", "db.localhost"}) {
    const Ips found_ips = ips(text);
    CHECK(found_ips.size() == 2);
    CHECK(std::find(found_ips.begin(), found_ips.end(), "127.0.0.1") != found_ips.end());
  }
  CHECK(first.asked() == 0);
}

TEST_CASE_METHOD(ResolverFixture, "no server is asked for a name below invalid") {
  CHECK(look_up("db.invalid")->failure == Failure::not_found);
  CHECK(first.asked() == 0);
}

TEST_CASE_METHOD(ResolverFixture, "a change of the hosts file is noticed within a second") {
  first.set("db.test", Type::a, found({"127.0.0.5"}, 300));
  CHECK(ips("db.test") == Ips{"127.0.0.5"});
  const int asked = first.asked();
  write("hosts", "127.0.0.7 db.test\n");
  CHECK(loop_until_seen(
      loop, [&] { return ips("db.test") == Ips{"127.0.0.7"}; }, 1s));
  write("hosts", "127.0.0.8 db.test\n");
  CHECK(loop_until_seen(
      loop, [&] { return ips("db.test") == Ips{"127.0.0.8"}; }, 1s));
  write("hosts", "");
  CHECK(loop_until_seen(
      loop, [&] { return ips("db.test") == Ips{"127.0.0.5"}; }, 1s));
  CHECK(first.asked() >= asked);
}

TEST_CASE_METHOD(ResolverFixture, "a change of resolv.conf is noticed within a second") {
  DnsScriptServer second("127.0.0.2", first.port());
  first.set("db.test", Type::a, found({"127.0.0.5"}, 300));
  second.set("db.test", Type::a, found({"127.0.0.6"}, 300));
  CHECK(ips("db.test") == Ips{"127.0.0.5"});
  write("resolv.conf", "nameserver 127.0.0.2\nsearch .\n");
  CHECK(loop_until_seen(
      loop, [&] { return ips("db.test") == Ips{"127.0.0.6"}; }, 1s));
}

TEST_CASE_METHOD(ResolverFixture, "a change of resolv.conf begins look-ups under way again") {
  DnsScriptServer second("127.0.0.2", first.port());
  first.set("db.test", failing(How::is_silent));
  second.set("db.test", Type::a, found({"127.0.0.6"}));
  const auto wanted = name("db.test");
  std::shared_ptr<const net::NameAnswer> answer;
  const net::Lookup lookup(*client, wanted, [&](auto told) { answer = std::move(told); });
  REQUIRE(loop_until_seen(loop, [&] { return first.asked() > 0; }));
  write("resolv.conf", "nameserver 127.0.0.2\nsearch .\n");
  REQUIRE(loop_until(
      loop, [&] { return answer != nullptr; }, 1500ms));
  CHECK(answer->failure == Failure::none);
}

TEST_CASE_METHOD(ResolverFixture, "a name that a stream opens with is looked up ahead") {
  first.set("db.test", Type::a, found({"127.0.0.5"}));
  const auto wanted = name("db.test");
  resolver->look_ahead(wanted);
  REQUIRE(loop_until_seen(loop, [&] { return held.front()->answer() != nullptr; }));
  CHECK(ips("db.test") == Ips{"127.0.0.5"});
  CHECK(was_cached);
  CHECK(resolver->counters().hits == 1);
}

TEST_CASE("a name that is in use is looked up again before it expires") {
  loop::Loop loop;
  const TempDir folder;
  DnsScriptServer server;
  server.set("db.test", Type::a, ResolverFixture::found({"127.0.0.5"}, 1));
  std::ofstream(folder.path() / "resolv.conf") << "nameserver 127.0.0.1\nsearch .\n";
  net::ResolverOptions options;
  options.hosts_path = "/dev/null";
  options.resolv_conf_path = folder.path() / "resolv.conf";
  options.dns_port = server.port();
  const base::SystemClock clock;
  net::Resolver resolver(options, clock);
  net::ResolverClient client(loop, resolver);
  const auto name = resolver.name("db.test");
  resolver.look_ahead(name);
  CHECK(loop_until_seen(loop, [&] {
    name->note_use(clock.steady());
    return server.asked("db.test", Type::a) >= 3;
  }));
  CHECK(server.asked("db.test", Type::aaaa) == 1);
  resolver.stop();
}

// Returns whether all names have an answer before the limit.
bool are_answered(loop::Loop& loop, const std::vector<std::shared_ptr<net::Name>>& names,
                  std::chrono::milliseconds limit) {
  const auto has_answer = [](const auto& each) { return each->answer() != nullptr; };
  return loop_until_seen(
      loop, [&] { return std::all_of(names.begin(), names.end(), has_answer); }, limit);
}

TEST_CASE_METHOD(ResolverFixture, "9,000 names that open at once are looked up a few at a time") {
  std::vector<std::shared_ptr<net::Name>> names;
  for (int i = 0; i < 9000; ++i) {
    const std::string text = "n" + std::to_string(i) + ".test";
    first.set(text, Type::a, found({"127.0.0.5"}));
    names.push_back(name(text));
  }
  for (const auto& each : names) resolver->look_ahead(each);
  CHECK(are_answered(loop, names, 30s));
  CHECK(resolver->counters().failures == 0);
  CHECK(first.asked() < 2 * 9000 + 100);  // hardly any was lost and asked for again
}

TEST_CASE_METHOD(ResolverFixture, "a hosts file of 2 MB with 9,000 names of streams is read once") {
  std::string text;
  for (int i = 0; i < 80'000; ++i) text += "0.0.0.0 advertiser" + std::to_string(i) + ".test\n";
  for (int i = 0; i < 9000; ++i) text += "127.0.0.5 n" + std::to_string(i) + ".test\n";
  write("hosts", text);
  std::vector<std::shared_ptr<net::Name>> names;
  for (int i = 0; i < 9000; ++i) names.push_back(name("n" + std::to_string(i) + ".test"));
  for (const auto& each : names) resolver->look_ahead(each);
  CHECK(are_answered(loop, names, 10s));
  CHECK(ips("n8999.test") == Ips{"127.0.0.5"});
  CHECK(first.asked() == 0);
}

TEST_CASE_METHOD(ResolverFixture, "what look-ups did is counted") {
  first.set("db.test", Type::a, found({"127.0.0.5"}, 10));
  first.set("gone.test", refusing(3));
  look_up("db.test");
  look_up("db.test");
  look_up("gone.test");
  first.set("db.test", refusing(2));
  clock.advance(11s);
  look_up("db.test");
  const net::ResolverCounters& counters = resolver->counters();
  CHECK(counters.queries == static_cast<std::uint64_t>(first.asked()));
  CHECK(counters.hits == 1);
  CHECK(counters.stale == 1);
  CHECK(counters.failures == 2);
  std::uint64_t look_ups = 0;
  for (const auto& count : counters.took) look_ups += count;
  CHECK(look_ups == 3);
}

TEST_CASE("getaddrinfo is shared and cached too, and a dead name holds up no other") {
  loop::Loop loop;
  FakeHost host;
  ManualClock clock;
  net::ResolverOptions options;
  options.mode = net::ResolverOptions::Mode::system;
  options.timeout = 200ms;
  net::Resolver resolver(options, clock);
  net::ResolverClient client(loop, resolver);
  host.hang_name("dead.test");
  host.add_name("dead.test", {"127.0.0.5"});
  host.add_name("db.test", {"127.0.0.6", "127.0.0.7"});
  const auto dead = resolver.name("dead.test");
  const auto db = resolver.name("db.test");
  std::vector<std::unique_ptr<net::Lookup>> lookups;
  std::vector<std::string> messages;
  for (int i = 0; i < 40; ++i)
    lookups.push_back(std::make_unique<net::Lookup>(
        client, dead, [&](const auto& answer) { messages.push_back(answer->message); }));
  std::shared_ptr<const net::NameAnswer> answer;
  const net::Lookup other(client, db, [&](auto told) { answer = std::move(told); });
  REQUIRE(loop_until(loop, [&] { return answer != nullptr; }));
  CHECK(messages.empty());
  CHECK(answer->addresses.size() == 2);
  CHECK(answer->ttl == net::Resolver::kSystemTtl);
  CHECK(client.find(*db) != nullptr);
  CHECK(loop_until(loop, [&] { return messages.size() == 40; }));
  CHECK(messages.front() == "the system's resolver did not answer within 200ms");
  CHECK(net::SystemLookup::running() == 1);
  CHECK(net::Resolver::is_busy());
  host.answer_names();
  CHECK(loop_until_seen(loop, [&] { return dead->answer()->failure == Failure::none; }));
  CHECK(loop_until_seen(loop, [&] { return !net::Resolver::is_busy(); }));
  resolver.stop();
}

}  // namespace
}  // namespace sc::test
