#include <fstream>
#include <string>
#include <vector>

#include "net/resolver/hosts_file.h"
#include "net/resolver/resolv_conf.h"
#include "net/resolver/watched_file.h"
#include "support/catch.h"
#include "support/temp_dir.h"

namespace sc::test {
namespace {

using net::ResolvConf;
using Texts = std::vector<std::string>;

Texts ips_of(const std::vector<net::Address>& addresses) {
  Texts out;
  for (const net::Address& each : addresses) out.push_back(each.to_string());
  return out;
}

TEST_CASE("resolv.conf: servers, search list and options are read as resolv.conf(5) says") {
  const ResolvConf conf = net::parse_resolv_conf(
      "# a comment\n"
      "nameserver 10.0.0.1\n"
      "nameserver\t2001:db8::1  \r\n"
      "nameserver nonsense\n"
      "nameserver 10.0.0.2\n"
      "nameserver 10.0.0.3\n"
      "domain first.example\n"
      "search Two.example. three.example ; not this\n"
      "options ndots:2 timeout:3 attempts:1 rotate edns0\n"
      "options use-vc no-aaaa unknown:7 ndots:x",
      {});
  CHECK(ips_of(conf.servers) == Texts{"10.0.0.1:53", "[2001:db8::1]:53", "10.0.0.2:53"});
  CHECK(conf.search == Texts{"two.example", "three.example"});
  CHECK(conf.ndots == 2);
  CHECK(conf.timeout == std::chrono::seconds(3));
  CHECK(conf.attempts == 1U);
  CHECK(conf.rotate);
  CHECK(conf.edns0);
  CHECK(conf.use_vc);
  CHECK(conf.no_aaaa);
}

TEST_CASE("resolv.conf: limits and the environment apply, and defaults where nothing is set") {
  const ResolvConf plain = net::parse_resolv_conf("", {{}, {}, "host.example.net", 53});
  CHECK(ips_of(plain.servers) == Texts{"127.0.0.1:53"});
  CHECK(plain.search == Texts{"example.net"});
  CHECK(plain.ndots == 1);
  CHECK_FALSE(plain.timeout);
  CHECK_FALSE(plain.rotate);
  const ResolvConf changed =
      net::parse_resolv_conf("search file.example\noptions ndots:99 timeout:0 attempts:9\n",
                             {"env.example", "rotate ndots:3", "host", 53});
  CHECK(changed.search == Texts{"env.example"});
  CHECK(changed.ndots == 3);
  CHECK(changed.timeout == std::chrono::seconds(1));
  CHECK(changed.attempts == 5U);
  CHECK(changed.rotate);
}

TEST_CASE("ndots decides whether the search list comes first; a dot at the end leaves it out") {
  ResolvConf conf;
  conf.search = {"one.example", "two.example"};
  CHECK(net::search_candidates(conf, "db") == Texts{"db.one.example", "db.two.example", "db"});
  CHECK(net::search_candidates(conf, "db.x") ==
        Texts{"db.x", "db.x.one.example", "db.x.two.example"});
  CHECK(net::search_candidates(conf, "db.") == Texts{"db"});
  conf.ndots = 2;
  CHECK(net::search_candidates(conf, "db.x").front() == "db.x.one.example");
  CHECK(net::search_candidates(conf, std::string(250, 'a')) == Texts{std::string(250, 'a')});
}

TEST_CASE("hosts: every line of a name counts, in any case, with comments and aliases") {
  const std::string text =
      "127.0.0.1 localhost\n"
      "10.0.0.1\tDB.example db  # 10.9.9.9 db\n"
      "#10.0.0.2 db\n"
      "nonsense db\n"
      "fe80::1%lo db DB\n"
      "2001:db8::1 other db\r\n"
      "10.0.0.1 db";
  const net::HostsIndex index(text);
  CHECK(ips_of(index.find("db")) == Texts{"10.0.0.1:0", "[fe80::1%lo]:0", "[2001:db8::1]:0"});
  CHECK(ips_of(index.find("db.example")) == Texts{"10.0.0.1:0"});
  CHECK(ips_of(index.find("db.example.")) == Texts{"10.0.0.1:0"});
  CHECK(ips_of(net::HostsIndex("10.0.0.1 db.").find("db")) == Texts{"10.0.0.1:0"});
  CHECK(ips_of(index.find("localhost")) == Texts{"127.0.0.1:0"});
  for (const char* none : {"10.9.9.9", "10.0.0.1", "d", "dba", "", "\n", "#"})
    CHECK(index.find(none).empty());
  for (const char* nothing : {"", "\n", "10.0.0.1", "10.0.0.1\n", "# 10.0.0.1 db", " \t\r\n\n"})
    CHECK(net::HostsIndex(nothing).find("db").empty());
  CHECK(net::HostsIndex().find("db").empty());
  std::string many;
  for (int i = 0; i < 100; ++i) many += "10.0.1." + std::to_string(i) + " db\n";
  CHECK(net::HostsIndex(many).find("db").size() == net::HostsIndex::kMostAddresses);
}

TEST_CASE("localhost and names below it are local") {
  for (const char* name : {"localhost", "LocalHost.", "a.localhost", "a.b.localhost."})
    CHECK(net::is_localhost(name));
  for (const char* name : {"localhost.example", "mylocalhost", "local", ""})
    CHECK_FALSE(net::is_localhost(name));
}

TEST_CASE("a watched file shows changes in place, by rename, through a link, and its absence") {
  const TempDir folder;
  const std::string path = folder.path() / "target";
  const std::string link = folder.path() / "link";
  const auto write = [](const std::string& file, const char* text) { std::ofstream(file) << text; };
  net::WatchedFile file(link);
  CHECK_FALSE(file.refresh());
  CHECK(file.content().empty());
  write(path, "one");
  std::filesystem::create_symlink(path, link);
  CHECK(file.refresh());
  CHECK(file.content() == "one");
  CHECK_FALSE(file.refresh());
  write(path, "two");  // of the same size, at the same time for a coarse clock
  CHECK(file.refresh());
  CHECK(file.content() == "two");
  write(folder.path() / "other", "six");
  std::filesystem::rename(folder.path() / "other", path);
  CHECK(file.refresh());
  CHECK(file.content() == "six");
  std::filesystem::remove(path);
  CHECK(file.refresh());
  CHECK(file.content().empty());
}

}  // namespace
}  // namespace sc::test
