#include "config/nginx_streams.h"

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
      {"server { listen 127.0.0.1:9000; proxy_pass b:1; }", 1, "listen 127.0.0.1:9000;",
       "does not choose its address"},
      {"server { listen localhost:9000; proxy_pass b:1; }", 1, "listen localhost:9000;",
       "does not choose its address"},
      {"server { listen unix:/s; proxy_pass b:1; }", 1, "listen unix:/s;", "unix sockets"},
      {"server { listen 0; proxy_pass b:1; }", 1, "listen 0;", "is not a port"},
      {"server { listen 99999; proxy_pass b:1; }", 1, "listen 99999;", "is not a port"},
      {"server { listen 9000-9009; proxy_pass b:1; }", 1, "listen 9000-9009;", "is not a port"},
      {"server { listen [::]; proxy_pass b:1; }", 1, "listen [::];", "address"},
      {"server { listen; proxy_pass b:1; }", 1, "listen;", "the port is missing"},
      {"server { listen 9000; proxy_pass unix:/s.sock; }", 1, "proxy_pass unix:/s.sock;",
       "not to unix sockets"},
      {"server { listen 9000; proxy_pass upstream; }", 1, "proxy_pass upstream;",
       "the port is missing"},
      {"server { listen 9000; proxy_pass $name:1; }", 1, "proxy_pass $name:1;", "letters"},
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
      {"upstream u { server a:1; }", 1, "upstream u { ... }", "only server blocks"},
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
      " proxy_timeout 10m;\n}\n",
      "f");
  CHECK(show(found) == "3:9000>b:1 ");
  CHECK(found.rejected.empty());
  const std::vector<ImportRemark> expected{
      {"f", 1, "log_format x;", "has no effect here"},
      {"f", 3, "listen 9000 backlog=5 reuseport;", "backlog=5 has no effect here"},
      {"f", 3, "listen 9000 backlog=5 reuseport;", "reuseport has no effect here"},
      {"f", 5, "proxy_timeout 10m;", "has no effect here"},
  };
  CHECK(found.ignored == expected);
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
