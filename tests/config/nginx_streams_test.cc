#include "config/nginx_streams.h"

#include "config/nginx_time.h"
#include "support/catch.h"

namespace sc::config {
namespace {

std::string show(const ImportedStreams& found) {
  std::string out;
  for (const ImportedStream& stream : found.streams)
    out += std::to_string(stream.line) + ":" + std::to_string(stream.spec.port) + ">" +
           base::to_string(stream.spec.backend) + " ";
  return out;
}

struct Taken {
  std::string text;
  std::string streams;  // line:port>backend
};

TEST_CASE("the original's stream files are read whatever their layout") {
  const auto row = GENERATE(values<Taken>({
      {"server { listen 9000; proxy_pass mybackend:22; }", "1:9000>mybackend:22 "},
      {"server{listen 9000;proxy_pass mybackend:22;}", "1:9000>mybackend:22 "},
      {"\nserver\r\n{\r\n\tlisten\t9000 ;\r\n  proxy_pass\n mybackend:22\n;\n}\n",
       "4:9000>mybackend:22 "},
      {"# by hand; server {\nserver { # x }\n listen 9000; # 9001;\n proxy_pass b:1; }",
       "3:9000>b:1 "},
      {"server { proxy_pass [::1]:22; listen 0.0.0.0:9000; }", "1:9000>[::1]:22 "},
      {"server { listen [::]:9000; proxy_pass 10.0.0.1:1; }", "1:9000>10.0.0.1:1 "},
      {"server { listen *:9000; proxy_pass b:1; }", "1:9000>b:1 "},
      {"server { listen 9000; listen [::]:9000; proxy_pass b:1; }", "1:9000>b:1 "},
      {"server { listen 9000;\nlisten 9001; proxy_pass b:1; }", "1:9000>b:1 2:9001>b:1 "},
      {"server { listen 9000; proxy_pass a:1; }\nserver { listen 9001; proxy_pass b:2; }",
       "1:9000>a:1 2:9001>b:2 "},
      {"stream { server { listen 9000; proxy_pass b:1; } }", "1:9000>b:1 "},
      {"server { listen \"9000\"; proxy_pass 'b:1'; }", "1:9000>b:1 "},
      {"server { listen 9000; proxy_pass b:1; proxy_protocol off; proxy_ssl off; }", "1:9000>b:1 "},
      {"", ""},
      {"# nothing", ""},
      {"stream { }", ""},
  }));
  CAPTURE(row.text);
  const ImportedStreams found = parse_nginx_streams(row.text, "f");
  CHECK(show(found) == row.streams);
  CHECK(found.rejected.empty());
  for (const ImportedStream& stream : found.streams) CHECK(stream.file == "f");
}

struct Refused {
  std::string text;
  unsigned line;
  std::string directive;
  std::string why;  // a part of it
};

TEST_CASE("what cannot be a stream is rejected with its line and the reason") {
  const auto row = GENERATE(values<Refused>({
      {"server {\nlisten 9000 udp; proxy_pass b:1; }", 2, "listen 9000 udp;", "without udp"},
      {"server { listen 9000 ssl; proxy_pass b:1; }", 1, "listen 9000 ssl;", "without ssl"},
      {"server { listen 9000 proxy_protocol; proxy_pass b:1; }", 1, "listen 9000 proxy_protocol;",
       "without proxy_protocol"},
      {"server { listen localhost:9000; proxy_pass b:1; }", 1, "listen localhost:9000;",
       "not on \"localhost\""},
      {"server { listen [fe80::1]:9000; proxy_pass b:1; }", 1, "listen [fe80::1]:9000;", "%eth0"},
      {"server { listen 9000; proxy_pass u; }\nupstream u { server a:1; server b:1; }", 1,
       "proxy_pass u;", "has several servers"},
      {"server { listen 9000; proxy_pass u; }\nupstream u { }", 1, "proxy_pass u;",
       "has no server"},
      {"server { listen 9000; proxy_pass u; }\nupstream u { server a:1 down; }", 1, "proxy_pass u;",
       "has no server that is not down"},
      {"server { listen 9000; proxy_pass b:1;\nproxy_timeout soon; }", 2, "proxy_timeout soon;",
       "\"soon\" is not a time"},
      {"server { listen 9000; proxy_pass b:1;\nproxy_timeout 1h 30m; }", 2, "proxy_timeout 1h 30m;",
       "needs one time"},
      {"server { listen unix:/s; proxy_pass b:1; }", 1, "listen unix:/s;", "unix sockets"},
      {"server { listen 0; proxy_pass b:1; }", 1, "listen 0;", "is not a port"},
      {"server { listen 99999; proxy_pass b:1; }", 1, "listen 99999;", "is not a port"},
      {"server { listen 9000-9009; proxy_pass b:1; }", 1, "listen 9000-9009;", "is not a port"},
      {"server { listen [::]; proxy_pass b:1; }", 1, "listen [::];", "address"},
      {"server { listen; proxy_pass b:1; }", 1, "listen;", "the port is missing"},
      {"server { listen 9000; proxy_pass unix:/s.sock; }", 1, "proxy_pass unix:/s.sock;",
       "not to unix sockets"},
      {"server { listen 9000; proxy_pass upstream; }", 1, "proxy_pass upstream;",
       "these files have no upstream of that name"},
      {"server { listen 9000; proxy_pass $name:1; }", 1, "proxy_pass $name:1;",
       "variables are not supported"},
      {"server { listen 9000; proxy_pass $backend; }", 1, "proxy_pass $backend;",
       "variables are not supported"},
      {"server { listen 9000; proxy_pass a:1 b:2; }", 1, "proxy_pass a:1 b:2;", "one argument"},
      {"server { listen 9000; proxy_pass; }", 1, "proxy_pass;", "one argument"},
      {"server { listen 9000; proxy_pass a:1;\nproxy_pass b:2; }", 2, "proxy_pass b:2;", "second"},
      {"\nserver { proxy_pass b:1; }", 2, "server { ... }", "no listen"},
      {"server { listen 9000; }", 1, "server { ... }", "no proxy_pass"},
      {"server { }", 1, "server { ... }", "no listen"},
      {"server { listen 9000; proxy_pass b:1; allow 10.0.0.0/8; deny all; }", 1,
       "allow 10.0.0.0/8;", "do not know this yet"},
      {"server { listen 9000; proxy_pass b:1; proxy_ssl on; }", 1, "proxy_ssl on;",
       "do not know this yet"},
      {"map $a $b { x y; }", 1, "map $a $b { ... }", "only server and upstream blocks"},
  }));
  CAPTURE(row.text);
  const ImportedStreams found = parse_nginx_streams(row.text, "f");
  CHECK(found.streams.empty());
  CHECK(found.ignored.empty());
  REQUIRE(found.rejected.size() == 1);
  CHECK(found.rejected[0].file == "f");
  CHECK(found.rejected[0].line == row.line);
  CHECK(found.rejected[0].text == row.directive);
  CHECK(found.rejected[0].why.find(row.why) != std::string::npos);
}

TEST_CASE("garbage is rejected once, and what stood complete before it is taken") {
  const std::string good = "server { listen 9000; proxy_pass b:1; }\n";
  const auto row = GENERATE(values<std::pair<std::string, std::string>>({
      {"}", "unexpected }"},
      {"{", "unexpected {"},
      {";", "unexpected ;"},
      {"\x7f"
       "ELF \x01\x02",
       "ends before ; or {"},
      {"server", "ends before ; or {"},
      {"server {", "ends before }"},
      {"server { listen 9001; proxy_pass c:1;", "ends before }"},
      {"server { listen 9001", "ends before ; or {"},
      {"server { listen 9001 }", "the ; is missing"},
      {"server { listen \"9001; }", "closing quote"},
      {std::string(100'000, '{'), "unexpected {"},
      {[] {
         std::string deep;
         for (int i = 0; i < 100'000; ++i) deep += "a{";
         return deep;
       }(),
       "nested too deeply"},
  }));
  CAPTURE(row.first.substr(0, 40));
  const ImportedStreams found = parse_nginx_streams(good + row.first, "f");
  CHECK(show(found) == "1:9000>b:1 ");
  REQUIRE(found.rejected.size() == 1);
  CHECK(found.rejected[0].line == 2);
  CHECK(found.rejected[0].why.find(row.second) != std::string::npos);
}

TEST_CASE("a directive that a stream does not know is reported, the stream is taken") {
  const ImportedStreams found = parse_nginx_streams(
      "log_format x;\nserver {\n listen 9000 backlog=5 reuseport;\n proxy_pass b:1;\n"
      " tcp_nodelay on;\n}\n",
      "f");
  CHECK(show(found) == "3:9000>b:1 ");
  CHECK(found.rejected.empty());
  const std::vector<ImportRemark> expected{
      {"f", 1, "log_format x;", "has no effect here"},
      {"f", 3, "listen 9000 backlog=5 reuseport;", "backlog=5 has no effect here"},
      {"f", 3, "listen 9000 backlog=5 reuseport;", "reuseport has no effect here"},
      {"f", 5, "tcp_nodelay on;", "has no effect here"},
  };
  CHECK(found.ignored == expected);
}

TEST_CASE("an import takes over addresses and timeouts") {
  using std::chrono::milliseconds;
  const ImportedStreams found = parse_nginx_streams(
      "stream {\nserver { listen 127.0.0.1:9000; proxy_pass a:1; proxy_connect_timeout 2500ms; }\n"
      "proxy_timeout 1h30m;\nserver { listen [::1]:9001; proxy_pass b:1; proxy_timeout 90; }\n}\n"
      "server { listen 9002; proxy_pass c:1; }",
      "f");
  CHECK(found.rejected.empty());
  CHECK(found.ignored.empty());
  REQUIRE(found.streams.size() == 3);
  const core::StreamSpec& first = found.streams[0].spec;
  CHECK(first.listen_address == "127.0.0.1");
  CHECK(first.idle_timeout == milliseconds(5'400'000));  // of the block that the server is in
  CHECK(first.connect_timeout == milliseconds(2500));
  const core::StreamSpec& second = found.streams[1].spec;
  CHECK(second.listen_address == "::1");
  CHECK(second.idle_timeout == milliseconds(90'000));
  CHECK_FALSE(second.connect_timeout);
  const core::StreamSpec& third = found.streams[2].spec;
  CHECK(third.listen_address.empty());
  CHECK_FALSE(third.idle_timeout);
}

TEST_CASE("a timeout that a stream cannot have becomes the nearest one, and that is reported") {
  const ImportedStreams found = parse_nginx_streams(
      "server { listen 9000; proxy_pass a:1;\nproxy_timeout 1y; proxy_connect_timeout 10m; }", "f");
  REQUIRE(found.streams.size() == 1);
  CHECK(found.streams[0].spec.idle_timeout == core::kMostIdleTimeout);
  CHECK(found.streams[0].spec.connect_timeout == core::kMostConnectTimeout);
  const std::vector<ImportRemark> expected{
      {"f", 2, "proxy_timeout 1y;", "streams take 1s to 30d: it becomes 30d"},
      {"f", 2, "proxy_connect_timeout 10m;", "streams take 100ms to 5m: it becomes 5m"}};
  CHECK(found.ignored == expected);
}

TEST_CASE("an upstream of one server is the backend of the servers that name it") {
  const ImportedStreams found = parse_nginx_streams(
      "server { listen 9000; proxy_pass db; }\nupstream db { zone z 64k;\nserver h:5432 weight=2; "
      "}\n"
      "upstream spare { server x:1; server y:1; }",
      "f");
  CHECK(show(found) == "1:9000>h:5432 ");
  CHECK(found.rejected.empty());
  const std::vector<ImportRemark> expected{
      {"f", 2, "zone z 64k;", "has no effect here"},
      {"f", 3, "server h:5432 weight=2;", "weight=2 has no effect here"},
      {"f", 4, "upstream spare { ... }", "no server of these files forwards to it"}};
  CHECK(found.ignored == expected);
}

TEST_CASE("an upstream of another file is found, whatever the order of the files") {
  const ImportedStreams found = parse_nginx_streams({
      {"a", "server { listen 9000; proxy_pass db; }\nserver { listen 9001; proxy_pass db; }"},
      {"b", "\nupstream db { zone z 64k; server h:5432; }\nupstream spare { server x:1; }"},
      {"c", "stream { upstream DB { server other:1; } server { listen 9000; proxy_pass c:1; } }"},
  });
  CHECK(show(found) == "1:9000>h:5432 2:9001>h:5432 ");
  const std::vector<ImportRemark> rejected{
      {"c", 1, "upstream DB { ... }", "an upstream of that name stands in b, line 2"},
      {"c", 1, "listen 9000;", "port 9000 was taken already in a, line 1"}};
  CHECK(found.rejected == rejected);
  const std::vector<ImportRemark> ignored{
      {"b", 2, "zone z 64k;", "has no effect here"},
      {"b", 2, "zone z 64k;", "has no effect here"},
      {"b", 3, "upstream spare { ... }", "no server of these files forwards to it"}};
  CHECK(found.ignored == ignored);
}

TEST_CASE("a server of an upstream that is down does not count") {
  const ImportedStreams found = parse_nginx_streams(
      "upstream u { server a:1 down; server b:1; }\nserver { listen 9000; proxy_pass u; }", "f");
  CHECK(show(found) == "2:9000>b:1 ");
  CHECK(found.rejected.empty());
  const std::vector<ImportRemark> expected{
      {"f", 1, "server a:1 down;", "is down, so it is left out"}};
  CHECK(found.ignored == expected);
}

TEST_CASE("a listen on all addresses covers the server's listens on one address of the port") {
  for (const char* listens :
       {"listen 9000;\nlisten 127.0.0.1:9000;", "listen 127.0.0.1:9000;\nlisten [::]:9000;"}) {
    INFO(listens);
    const ImportedStreams found =
        parse_nginx_streams("server { proxy_pass b:1; " + std::string(listens) + " }", "f");
    REQUIRE(found.streams.size() == 1);
    CHECK(found.streams.front().spec.listen_address.empty());
    CHECK(found.rejected.empty());
    REQUIRE(found.ignored.size() == 1);
    CHECK(found.ignored.front().text == "listen 127.0.0.1:9000;");
  }
}

TEST_CASE("an upstream is found in any case, and no client reaches a multicast address") {
  const ImportedStreams found = parse_nginx_streams(
      "upstream DB { server h:5432; }\nserver { listen 9000; proxy_pass db; }\n"
      "server { listen 224.0.0.1:9001; proxy_pass h:1; }",
      "f");
  CHECK(show(found) == "2:9000>h:5432 ");
  REQUIRE(found.rejected.size() == 1);
  CHECK(found.rejected.front().line == 3);
}

TEST_CASE("times of nginx are read with all units, and nothing else is a time") {
  using std::chrono::milliseconds;
  const auto good = GENERATE(values<std::pair<std::string, std::int64_t>>({
      {"0", 0},
      {"90", 90'000},
      {"250ms", 250},
      {"060s", 60'000},
      {"000", 0},
      {"01h05m", 3'900'000},
      {"10m", 600'000},
      {"1h 30m", 5'400'000},
      {"1d12h", 129'600'000},
      {"1M", 2'592'000'000},
      {"1m 5", 65'000},
      {"9000000000000", 315'360'000'000'000},
  }));
  CAPTURE(good.first);
  CHECK(parse_nginx_time(good.first) == milliseconds(good.second));
  for (const char* bad :
       {"", " ", "s", "1x", "-1", "1m1h", "1s 1s", "1.5h", "1 h", "5 1m", "99999999999999999999"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_nginx_time(bad));
  }
}

TEST_CASE("of two servers with the same port the first is taken") {
  const ImportedStreams found = parse_nginx_streams(
      "server { listen 9000; proxy_pass a:1; }\nserver { listen 9000; proxy_pass b:1; }", "f");
  CHECK(show(found) == "1:9000>a:1 ");
  REQUIRE(found.rejected.size() == 1);
  CHECK(found.rejected[0].line == 2);
  CHECK(found.rejected[0].why == "port 9000 was taken already in line 1");
}

TEST_CASE("a server with one good and one bad listen becomes one stream and one rejection") {
  const ImportedStreams found =
      parse_nginx_streams("server { listen 9000; listen 9001 udp; proxy_pass b:1; }", "f");
  CHECK(show(found) == "1:9000>b:1 ");
  REQUIRE(found.rejected.size() == 1);
  CHECK(found.rejected[0].text == "listen 9001 udp;");
}

}  // namespace
}  // namespace sc::config
