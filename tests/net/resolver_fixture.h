#pragma once

#include <chrono>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/resolver/resolver_client.h"
#include "support/catch.h"
#include "support/dns_script.h"
#include "support/loop_until.h"
#include "support/manual_clock.h"
#include "support/temp_dir.h"

namespace sc::test {

using Type = DnsScriptServer::Type;
using How = DnsScript::How;

// A resolver whose hosts file and resolv.conf are the test's, asking servers of the test: `first`
// at 127.0.0.1, and at 127.0.0.2 whatever the test starts there. TTLs run by a manual clock, waits
// for servers in real time.
struct ResolverFixture {
  ResolverFixture() {
    write("hosts", "");
    write("resolv.conf", "nameserver 127.0.0.1\noptions ndots:1\nsearch .\n");
    options.hosts_path = folder.path() / "hosts";
    options.resolv_conf_path = folder.path() / "resolv.conf";
    options.dns_port = first.port();
    options.timeout = std::chrono::seconds(2);
  }
  ResolverFixture(const ResolverFixture&) = delete;
  ResolverFixture& operator=(const ResolverFixture&) = delete;
  ~ResolverFixture() {
    if (resolver) resolver->stop();
  }

  void write(const std::string& name, const std::string& text) const {
    std::ofstream(folder.path() / name) << text;
  }
  void start() {
    resolver.emplace(options, clock);
    client.emplace(loop, *resolver);
  }
  std::shared_ptr<net::Name> name(const std::string& text) {
    if (!resolver) start();
    held.push_back(resolver->name(text));
    return held.back();
  }
  // As a session would, with the time it took.
  std::shared_ptr<const net::NameAnswer> look_up(const std::string& text) {
    const auto wanted = name(text);
    const auto before = std::chrono::steady_clock::now();
    auto answer = client->find(*wanted);
    was_cached = answer != nullptr;
    if (!answer) {
      net::Lookup lookup(*client, wanted, [&](std::shared_ptr<const net::NameAnswer> told) {
        answer = std::move(told);
      });
      CHECK_FALSE(answer);
      REQUIRE(loop_until(loop, [&] { return answer != nullptr; }));
    }
    took = std::chrono::steady_clock::now() - before;
    return answer;
  }
  std::vector<std::string> ips(const std::string& text) {
    std::vector<std::string> out;
    const auto answer = look_up(text);
    INFO(answer->message);
    for (const net::Address& each : answer->addresses) out.push_back(each.ip());
    return out;
  }
  static DnsScript found(std::vector<std::string> ips, std::uint32_t ttl = 60) {
    DnsScript script;
    script.addresses = std::move(ips);
    script.ttl = ttl;
    return script;
  }
  static DnsScript failing(How how) {
    DnsScript script;
    script.how = how;
    return script;
  }
  static DnsScript refusing(int rcode) {
    DnsScript script;
    script.rcode = rcode;
    return script;
  }

  loop::Loop loop;
  ManualClock clock;
  TempDir folder;
  DnsScriptServer first;
  net::ResolverOptions options;
  std::optional<net::Resolver> resolver;
  std::optional<net::ResolverClient> client;
  std::vector<std::shared_ptr<net::Name>> held;  // as streams hold theirs
  bool was_cached = false;
  std::chrono::nanoseconds took{0};
};

}  // namespace sc::test
