#include <sys/socket.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include "net/resolver/dns_server.h"
#include "net/resolver_fixture.h"
#include "support/namespaces.h"

// What servers answer, and what becomes of it.
namespace sc::test {
namespace {

using namespace std::chrono_literals;
using Failure = net::NameAnswer::Failure;
using net::Address;
using Ips = std::vector<std::string>;

TEST_CASE_METHOD(ResolverFixture, "a name's addresses of both families are found, with their TTL") {
  first.set("db.test", Type::a, found({"127.0.0.5", "127.0.0.6"}, 300));
  first.set("db.test", Type::aaaa, found({"::1"}, 200));
  const auto answer = look_up("db.test");
  REQUIRE(answer->addresses.size() == 3);
  CHECK(answer->source == net::NameSource::dns);
  CHECK(answer->ttl == 200s);
  CHECK_FALSE(answer->is_stale);
  Ips all = ips("db.test");
  std::sort(all.begin(), all.end());
  CHECK(all == Ips{"127.0.0.5", "127.0.0.6", "::1"});
}

TEST_CASE_METHOD(ResolverFixture, "an unanswered AAAA query delays an A answer by 50 ms") {
  first.set("db.test", Type::a, found({"127.0.0.5"}));
  first.set("db.test", Type::aaaa, failing(How::is_silent));
  CHECK(ips("db.test") == Ips{"127.0.0.5"});
  CHECK(took >= 49ms);
  CHECK(took < 300ms);  // before a server is asked again
}

TEST_CASE_METHOD(ResolverFixture,
                 "an A answer that expires while the AAAA query is unanswered is renewed at once") {
  first.set("db.test", Type::a, found({"127.0.0.5"}, 1));
  first.set("db.test", Type::aaaa, failing(How::is_silent));
  CHECK(ips("db.test") == Ips{"127.0.0.5"});
  first.set("db.test", Type::a, found({"127.0.0.6"}, 1));
  clock.advance(1s);
  const auto answer = look_up("db.test");
  CHECK_FALSE(was_cached);
  CHECK_FALSE(answer->is_stale);
  REQUIRE(answer->addresses.size() == 1);
  CHECK(answer->addresses.front().ip() == "127.0.0.6");
  CHECK(took < 300ms);  // of which 50 ms may be a wait for the AAAA answer
}

TEST_CASE_METHOD(ResolverFixture, "an IPv6 answer that comes late is added for later sessions") {
  DnsScript late = found({"::1"});
  late.delay = 150ms;
  first.set("db.test", Type::a, found({"127.0.0.5"}));
  first.set("db.test", Type::aaaa, late);
  CHECK(ips("db.test") == Ips{"127.0.0.5"});
  CHECK(loop_until_seen(loop, [&] { return ips("db.test").size() == 2; }));
  CHECK(was_cached);
}

TEST_CASE_METHOD(ResolverFixture, "a truncated reply is asked for again by TCP") {
  DnsScript cut = found(Ips(10, "127.0.0.5"));
  cut.how = How::truncates;
  first.set("db.test", Type::a, cut);
  CHECK_FALSE(ips("db.test").empty());
  CHECK(first.asked_by_tcp() == 1);
}

TEST_CASE_METHOD(ResolverFixture, "a chain of CNAMEs is followed, and its smallest TTL counts") {
  DnsScript chained = found({"127.0.0.5"}, 90);
  chained.aliases = {"a.test", "b.test", "c.test"};
  first.set("db.test", Type::a, chained);
  CHECK(ips("db.test") == Ips{"127.0.0.5"});
  CHECK(look_up("db.test")->ttl == 90s);
}

TEST_CASE_METHOD(ResolverFixture, "TTLs are applied within 1 s and 1 h") {
  const auto [ttl, applied] = GENERATE(std::pair{0U, 1s}, std::pair{7U, 7s},
                                       std::pair{7200U, 3600s}, std::pair{0x80000000U, 1s},
                                       std::pair{0xffffffffU, 1s}, std::pair{0x7fffffffU, 3600s});
  CAPTURE(ttl);
  first.set("db.test", Type::a, found({"127.0.0.5"}, ttl));
  CHECK(look_up("db.test")->ttl == applied);
  clock.advance(applied - 1ms);
  look_up("db.test");
  CHECK(was_cached);
  clock.advance(1ms);
  look_up("db.test");
  CHECK_FALSE(was_cached);
}

TEST_CASE_METHOD(ResolverFixture, "a thousand addresses are cut to a few") {
  DnsScript many;
  for (int i = 0; i < 1000; ++i)
    many.addresses.push_back("127.1." + std::to_string(i / 250) + "." + std::to_string(i % 250));
  many.how = How::truncates;  // they fit into TCP only
  first.set("db.test", Type::a, many);
  CHECK(ips("db.test").size() == net::DnsReply::kMostAddresses);
}

struct HostBefore {
  TwoHosts hosts;
};
struct NoPortsFixture : HostBefore, ResolverFixture {};

TEST_CASE_METHOD(NoPortsFixture, "used-up UDP source ports are a lack of this host's") {
  first.set("db.test", Type::a, found({"127.0.0.5"}));
  std::ofstream("/proc/sys/net/ipv4/ip_local_port_range") << "40000 40001";
  std::vector<base::Fd> taken;
  for (const std::uint16_t port : {std::uint16_t{40000}, std::uint16_t{40001}}) {
    const Address own = *Address::parse_ip("0.0.0.0", port);
    taken.emplace_back(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    REQUIRE(::bind(taken.back().get(), own.raw(), own.size()) == 0);
  }
  const auto answer = look_up("db.test");
  CHECK(answer->failure == Failure::exhausted);
  CHECK(answer->error == EAGAIN);
  CHECK_THAT(answer->message, Catch::Contains("(EAGAIN); no source port is left"));
  taken.clear();
}

TEST_CASE_METHOD(ResolverFixture, "a reply with another id is ignored") {
  options.timeout = 300ms;
  first.set("db.test", failing(How::has_wrong_id));
  const auto answer = look_up("db.test");
  CHECK(answer->failure == Failure::silent);
  CHECK(answer->message == "no DNS server answered within 300ms (127.0.0.1)");
}

TEST_CASE_METHOD(ResolverFixture, "a malformed reply is a server's failure, not the name's") {
  first.set("db.test", failing(How::sends_garbage));
  const auto answer = look_up("db.test");
  CHECK(answer->failure == Failure::broken);
  CHECK(answer->message == "DNS server 127.0.0.1 sent a malformed reply");
}

TEST_CASE_METHOD(ResolverFixture, "a name that does not exist, or has no address, is not found") {
  first.set("gone.test", refusing(3));
  CHECK(look_up("gone.test")->failure == Failure::not_found);
  CHECK(look_up("gone.test")->message == "host not found");
  CHECK(look_up("bare.test")->failure == Failure::not_found);
  CHECK(look_up("bare.test")->message == "the name has no address");
}

TEST_CASE_METHOD(ResolverFixture, "NXDOMAIN for AAAA does not hide an A record") {
  first.set("db.test", Type::a, found({"127.0.0.5"}));
  first.set("db.test", Type::aaaa, refusing(3));
  CHECK(ips("db.test") == Ips{"127.0.0.5"});
}

TEST_CASE_METHOD(ResolverFixture, "the search list is gone through until a name has an address") {
  write("resolv.conf", "nameserver 127.0.0.1\nsearch one.test two.test\n");
  first.set("db.one.test", refusing(3));
  first.set("db.two.test", Type::a, found({"127.0.0.5"}));
  CHECK(ips("db") == Ips{"127.0.0.5"});
  CHECK(first.asked("db", Type::a) == 0);
}

TEST_CASE_METHOD(ResolverFixture, "with use-vc all queries go by TCP; with no-aaaa none for IPv6") {
  write("resolv.conf", "nameserver 127.0.0.1\nsearch .\noptions use-vc no-aaaa\n");
  first.set("db.test", found({"127.0.0.5"}));
  CHECK(ips("db.test") == Ips{"127.0.0.5"});
  CHECK(first.asked_by_tcp() == 1);
  CHECK(first.asked("db.test", Type::aaaa) == 0);
}

struct TwoServers : ResolverFixture {
  TwoServers() : second("127.0.0.2", first.port()) {
    write("resolv.conf", "nameserver 127.0.0.1\nnameserver 127.0.0.2\nsearch .\n");
    second.set("db.test", Type::a, found({"127.0.0.5"}));
    second.set("web.test", Type::a, found({"127.0.0.6"}));
  }
  DnsScriptServer second;
};

TEST_CASE_METHOD(TwoServers,
                 "a silent first server costs one look-up under 2 s, and later ones nothing") {
  first.set("db.test", failing(How::is_silent));
  first.set("web.test", failing(How::is_silent));
  CHECK(ips("db.test") == Ips{"127.0.0.5"});
  CHECK(took < 2s);
  CHECK(ips("web.test") == Ips{"127.0.0.6"});
  CHECK(took < 200ms);
  CHECK(first.asked("web.test", Type::a) == 0);
}

TEST_CASE_METHOD(TwoServers, "a server that fails or refuses makes room for the next at once") {
  const int rcode = GENERATE(2, 5);
  first.set("db.test", refusing(rcode));
  CHECK(ips("db.test") == Ips{"127.0.0.5"});
  CHECK(took < 200ms);
}

TEST_CASE_METHOD(TwoServers,
                 "a server that fails is not asked again while the other one takes its time") {
  DnsScript slow = found({"127.0.0.9"});
  slow.delay = 1500ms;
  first.set("db.test", refusing(2));
  second.set("db.test", Type::a, slow);
  CHECK(ips("db.test") == Ips{"127.0.0.9"});
  CHECK(first.asked("db.test", Type::a) == 1);
  CHECK(first.asked("db.test", Type::aaaa) == 1);
}

TEST_CASE_METHOD(TwoServers, "a slow server is still listened to while the next one is asked") {
  DnsScript slow = found({"127.0.0.9"});
  slow.delay = 600ms;  // longer than it is waited for
  first.set("db.test", Type::a, slow);
  second.set("db.test", failing(How::is_silent));
  CHECK(ips("db.test") == Ips{"127.0.0.9"});
}

TEST_CASE_METHOD(TwoServers, "with rotate the servers are asked in turns") {
  write("resolv.conf",
        "nameserver 127.0.0.1\nnameserver 127.0.0.2\nsearch .\noptions rotate no-aaaa\n");
  for (int i = 0; i < 4; ++i) {
    const std::string text = "n" + std::to_string(i) + ".test";
    first.set(text, found({"127.0.0.5"}));
    second.set(text, found({"127.0.0.5"}));
    ips(text);
  }
  CHECK(first.asked() == 2);
  CHECK(second.asked() == 2);
}

TEST_CASE_METHOD(ResolverFixture, "an address where no server listens is passed over at once") {
  write("resolv.conf", "nameserver 127.0.0.3\nnameserver 127.0.0.1\nsearch .\n");
  first.set("db.test", Type::a, found({"127.0.0.5"}));
  CHECK(ips("db.test") == Ips{"127.0.0.5"});
  CHECK(took < 200ms);
}

TEST_CASE_METHOD(ResolverFixture, "where no server can be reached the look-up fails early") {
  write("resolv.conf", "nameserver 127.0.0.3\nsearch .\n");
  const auto answer = look_up("db.test");
  CHECK(answer->failure == Failure::silent);
  CHECK(answer->message == "no DNS server can be reached (127.0.0.3)");
  CHECK(took < 1900ms);
}

TEST_CASE_METHOD(ResolverFixture, "a host without a way to its DNS server says so of itself") {
  write("resolv.conf", "nameserver 255.255.255.255\nsearch .\n");
  const auto answer = look_up("db.test");
  CHECK(answer->failure == Failure::no_way);
  CHECK(answer->message.starts_with("this host has no way to a DNS server (255.255.255.255): "));
  CHECK(took < 1900ms);
}

}  // namespace
}  // namespace sc::test
