#include "api/auth.h"

#include <sys/socket.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "api/unix_peer.h"
#include "support/catch.h"

namespace sc::api {
namespace {

struct Asker {
  std::string peer = "127.0.0.1";
  std::string host = "localhost:5000";
  std::string origin;
  std::string site;
};

http::Request request_of(const Asker& asker) {
  http::Request request;
  request.method = "GET";
  request.path = request.target = "/status";
  request.peer = *net::Address::parse_ip(asker.peer, 40000);
  if (!asker.host.empty()) request.headers.push_back({"Host", asker.host});
  if (!asker.origin.empty()) request.headers.push_back({"Origin", asker.origin});
  if (!asker.site.empty()) request.headers.push_back({"Sec-Fetch-Site", asker.site});
  return request;
}

AuthOptions trusting(Trust trust) {
  AuthOptions options;
  options.trust = trust;
  options.local_url = "http://localhost:5000";
  options.is_own_address = [](const net::Address& address) {
    return address.ip() == "10.0.0.1" || address.ip() == "10.0.0.2";
  };
  return options;
}
const AuthOptions kRemote = trusting(Trust::remote);
const AuthOptions kAlways = trusting(Trust::always);
const AuthOptions kOff = trusting(Trust::off);

// As the gate does it with a request that shows no token; the caller's name.
base::Result<std::string> authorize(const http::Request& request, const AuthOptions& options) {
  if (auto page = check_page(request); !page) return page.error();
  auto caller = judge_without_token(request, options);
  if (!caller) return caller.error();
  CHECK(caller->role == core::Role::admin);
  CHECK_FALSE(caller->ports);
  return caller->name;
}

TEST_CASE("loopback peers may, and are known by their address") {
  for (const char* peer : {"127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"}) {
    INFO(peer);
    CHECK(authorize(request_of({peer}), kRemote));
  }
  CHECK(*authorize(request_of({"::ffff:127.0.0.1"}), kRemote) == "127.0.0.1");
}

TEST_CASE("peers of other hosts are told to say who they are") {
  for (const char* peer : {"192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1", "0.0.0.0"}) {
    INFO(peer);
    const auto answer = authorize(request_of({peer, "192.0.2.9:5000"}), kRemote);
    REQUIRE_FALSE(answer);
    CHECK(answer.error().code == base::Errc::unauthorized);
  }
}

TEST_CASE("with API_AUTH=always peers of this host are told to say who they are as well") {
  for (const char* peer : {"127.0.0.1", "::1", "192.0.2.1"}) {
    INFO(peer);
    const auto answer = authorize(request_of({peer}), kAlways);
    REQUIRE_FALSE(answer);
    CHECK(answer.error().code == base::Errc::unauthorized);
  }
}

TEST_CASE("what a proxy on this host passes on is not this host's own") {
  for (const char* header :
       {"Forwarded", "x-forwarded-for", "X-Forwarded-Host", "X-Real-IP", "Via"}) {
    INFO(header);
    http::Request request = request_of({});
    request.headers.push_back({header, "192.0.2.1"});
    const auto answer = authorize(request, kRemote);
    REQUIRE_FALSE(answer);
    CHECK(answer.error().code == base::Errc::unauthorized);
    CHECK(authorize(request, kOff));
  }
}

TEST_CASE("with API_AUTH=off peers of other hosts may, by an address or a name of ours") {
  AuthOptions options = kOff;
  options.hosts = {"edge.example"};
  for (const char* host : {"192.0.2.9:5000", "[2001:db8::1]:5000", "localhost", "", "edge.example",
                           "EDGE.example:5000"}) {
    INFO(host);
    CHECK(*authorize(request_of({"192.0.2.1", host}), options) == "192.0.2.1");
  }
  for (const char* host : {"evil.example:5000", "edge.example.evil", "192.0.2", ":5000"}) {
    INFO(host);
    const auto answer = authorize(request_of({"192.0.2.1", host}), options);
    REQUIRE_FALSE(answer);
    CHECK(answer.error().code == base::Errc::forbidden);
  }
}

TEST_CASE("names of API_HOSTS open loopback too, and no others") {
  AuthOptions options = kRemote;
  options.hosts = {"edge.example", "2001:db8::1"};
  CHECK(authorize(request_of({"127.0.0.1", "Edge.Example:5000"}), options));
  CHECK(authorize(request_of({"127.0.0.1", "[2001:db8::1]:5000"}), options));
  CHECK_FALSE(authorize(request_of({"127.0.0.1", "x.edge.example:5000"}), options));
  CHECK_FALSE(authorize(request_of({"192.0.2.1", "edge.example:5000"}), options));
}

TEST_CASE("a Host is the same in any case, with the root's dot and in any spelling of IPv6") {
  AuthOptions options = kRemote;
  options.hosts = {"edge.example", "2001:db8::1"};
  for (const char* host : {"localhost.", "LOCALHOST.:5000", "x.localhost.", "[0:0:0:0:0:0:0:1]",
                           "EDGE.example.", "edge.example.:5000", "[2001:DB8:0:0:0:0:0:1]:5000"}) {
    INFO(host);
    CHECK(authorize(request_of({"127.0.0.1", host}), options));
  }
  for (const char* host : {"localhost..", "localhost.evil.example.", "edge.example.."}) {
    INFO(host);
    CHECK_FALSE(authorize(request_of({"127.0.0.1", host}), options));
  }
}

TEST_CASE("the service's own page is known by its origin, however both are written") {
  const Asker pages[] = {
      {"127.0.0.1", "LocalHost:5000", "http://localhost:5000", ""},
      {"127.0.0.1", "localhost.:5000", "http://localhost:5000", ""},
      {"127.0.0.1", "localhost:80", "http://localhost", ""},
      {"127.0.0.1", "localhost", "http://localhost:80", ""},
      {"127.0.0.1", "[0:0::1]:5000", "http://[::1]:5000", ""},
      {"127.0.0.1", "localhost:443", "https://localhost", "same-origin"},
  };
  for (const Asker& page : pages) {
    INFO(page.host << " " << page.origin);
    CHECK(authorize(request_of(page), kRemote));
  }
  const Asker others[] = {
      {"127.0.0.1", "localhost:5000", "http://localhost:5001", ""},
      {"127.0.0.1", "localhost:5000", "http://localhost", ""},
      {"127.0.0.1", "localhost:443", "http://localhost", ""},
      {"127.0.0.1", "localhost:80", "https://localhost", "same-origin"},
      {"127.0.0.1", "localhost:5000", "http://user@localhost:5000", ""},
      {"127.0.0.1", "localhost:5000", "http://localhost:5000/", ""},
      {"127.0.0.1", "localhost:5000", "HTTP://localhost:5000x", ""},
      {"127.0.0.1", "", "http://", ""},
      {"127.0.0.1", ":5000", "http://:5000", ""},
  };
  for (const Asker& page : others) {
    INFO(page.host << " " << page.origin);
    CHECK_FALSE(authorize(request_of(page), kRemote));
  }
}

TEST_CASE("a caller on this host that asks by the host's name learns what to do instead") {
  const auto by_loopback = authorize(request_of({"127.0.0.1", "edge7:5000"}), kRemote);
  REQUIRE_FALSE(by_loopback);
  CHECK(by_loopback.error().code == base::Errc::forbidden);
  CHECK_THAT(by_loopback.error().message, Catch::Contains("\"edge7:5000\"") &&
                                              Catch::Contains("http://localhost:5000") &&
                                              Catch::Contains("API_HOSTS"));
  http::Request request = request_of({"10.0.0.1", "edge7:5000"});
  const auto by_address = authorize(request, kRemote);
  REQUIRE_FALSE(by_address);
  CHECK(by_address.error().code == base::Errc::forbidden);
  CHECK_THAT(by_address.error().message, Catch::Contains("\"edge7\" resolves to") &&
                                             Catch::Contains("ask http://localhost:5000") &&
                                             Catch::Contains("Bearer"));
  CHECK(authorize(request, kAlways).error().code == base::Errc::unauthorized);
  CHECK(authorize(request_of({"10.0.0.1", "10.0.0.1:5000"}), kRemote).error().code ==
        base::Errc::unauthorized);
}

TEST_CASE("a caller at a secondary address of this host is not called one of another host") {
  // The kernel takes the primary address as the source of a connection to the secondary one.
  const auto answer = authorize(request_of({"10.0.0.1", "10.0.0.2:5000"}), kRemote);
  REQUIRE_FALSE(answer);
  CHECK(answer.error().code == base::Errc::unauthorized);
  CHECK_THAT(answer.error().message, !Catch::Contains("other hosts") &&
                                         !Catch::Contains("10.0.0.1") &&
                                         Catch::Contains("ask http://localhost:5000"));
}

TEST_CASE(
    "what a proxy passes on from an address of this host gets 401 and no advice for this host") {
  for (const char* header : {"Forwarded", "X-Forwarded-For", "X-Real-IP", "Via"}) {
    INFO(header);
    http::Request request = request_of({"10.0.0.1", "edge7"});
    request.headers.push_back({header, "9.9.9.9"});
    const auto answer = authorize(request, kRemote);
    REQUIRE_FALSE(answer);
    CHECK(answer.error().code == base::Errc::unauthorized);
    CHECK_THAT(answer.error().message,
               Catch::Contains("a proxy passed this on") && !Catch::Contains("localhost"));
  }
}

TEST_CASE("a refusal names a loopback URL only if the API listens there") {
  const auto at = [](const char* ip) { return *net::Address::parse_ip(ip, 5000); };
  CHECK(local_url({at("10.0.0.1"), at("127.0.0.1")}) == "http://localhost:5000");
  for (const char* ip : {"0.0.0.0", "::", "::1"})
    CHECK(local_url({at(ip)}) == "http://localhost:5000");
  CHECK(local_url({at("127.0.0.2")}) == "http://127.0.0.2:5000");
  CHECK(local_url({at("10.0.0.1"), at("2001:db8::1")}).empty());
  CHECK(local_url({}).empty());
  AuthOptions options = kRemote;
  options.local_url = "";
  for (const char* peer : {"127.0.0.1", "10.0.0.1"}) {
    for (const char* host : {"edge7:5000", "10.0.0.1:5000"}) {
      INFO(peer << " " << host);
      const auto answer = authorize(request_of({peer, host}), options);
      REQUIRE_FALSE(answer);
      CHECK_THAT(answer.error().message,
                 !Catch::Contains("localhost") && Catch::Contains("send `Authorization: Bearer"));
    }
  }
}

http::Request unix_request(uid_t uid, gid_t gid, std::vector<gid_t> groups = {}) {
  http::Request request = request_of({});
  sockaddr_storage raw{};
  raw.ss_family = AF_UNIX;
  request.peer = net::Address(reinterpret_cast<const sockaddr*>(&raw), sizeof(sa_family_t));
  request.credentials = net::PeerCredentials{uid, gid, 0, std::move(groups)};
  return request;
}

TEST_CASE("a peer of the unix socket is known by its uid, whatever API_AUTH says") {
  http::Request request = unix_request(1000, 1000);
  for (const AuthOptions& options : {kRemote, kAlways, kOff})
    CHECK(*authorize(request, options) == "uid 1000");
  request.credentials->pid = ::getpid();
  CHECK_THAT(*authorize(request, kRemote), Catch::StartsWith("uid 1000 (test-api"));
  request.credentials.reset();
  CHECK_FALSE(authorize(request, kRemote));
}

TEST_CASE("with an admin group the unix socket's other peers only read") {
  AuthOptions options = kRemote;
  options.admin_group = 77;
  options.own_uid = 990;
  const auto role = [&](const http::Request& request) {
    return judge_without_token(request, options)->role;
  };
  CHECK(role(unix_request(0, 0)) == core::Role::admin);
  CHECK(role(unix_request(990, 990)) == core::Role::admin);
  CHECK(role(unix_request(1000, 77)) == core::Role::admin);
  CHECK(role(unix_request(1000, 1000, {4, 77})) == core::Role::admin);
  CHECK(role(unix_request(1000, 1000, {4, 5})) == core::Role::viewer);
  CHECK(role(unix_request(1000, 1000)) == core::Role::viewer);
}

TEST_CASE("a process may call itself anything, and history stays readable") {
  CHECK(sanitized_process_name("curl") == "curl");
  CHECK(sanitized_process_name("a) token x\n\x1b[1m\xc3") == "a? token x??[1m?");
}

TEST_CASE("a token stands behind Bearer, in any case, and alone") {
  const auto presented = [](std::vector<std::string> values) {
    http::Request request = request_of({});
    for (std::string& value : values)
      request.headers.push_back({"authorization", std::move(value)});
    return presented_token(request);
  };
  CHECK_FALSE(presented({}));
  CHECK(presented({"Bearer abc"}) == "abc");
  CHECK(presented({"bEARER   abc"}) == "abc");
  for (const char* value : {"Bearer", "Bearer "}) {
    INFO(value);
    CHECK(presented({value}) == "");
  }
  // Another scheme presents no token.
  for (const char* value : {"", "Basic YTpi", "abc", "Bearerabc", "Negotiate abc"}) {
    INFO(value);
    CHECK_FALSE(presented({value}));
    CHECK(presented({value, "Bearer abc"}) == "abc");
  }
  CHECK(presented({"Bearer abc", "Bearer abc"}) == "");
}

TEST_CASE("no way to write Bearer makes a wrong token count as none") {
  const auto presented = [](std::string value) {
    http::Request request = request_of({});
    request.headers.push_back({"Authorization", std::move(value)});
    return presented_token(request);
  };
  CHECK(presented("Bearer\tabc") == "abc");
  CHECK(presented("Bearer \t abc") == "abc");
  CHECK(presented("Basic YTpi, Bearer abc") == "abc");
  CHECK(presented("Digest username=\"a, b\", realm=c,bearer abc") == "abc");
  CHECK(presented("Bearer abc, Bearer abc") == "");
  CHECK(presented("Basic YTpi, Bearer") == "");
  CHECK(presented("Digest username=\"a, Bearer abc") == "");
  CHECK_FALSE(presented("Digest username=\"Bearer abc\""));
  CHECK_FALSE(presented("Digest username=\"a, realm=c"));
}

TEST_CASE("what a web page can send is refused, whatever API_AUTH says") {
  const Asker pages[] = {
      {"127.0.0.1", "localhost:5000", "", "cross-site"},
      {"127.0.0.1", "localhost:5000", "", "same-site"},
      {"127.0.0.1", "localhost:5000", "http://evil.example", ""},
      {"127.0.0.1", "localhost:5000", "null", ""},
      {"127.0.0.1", "localhost:5000", "https://localhost:5000", ""},
      {"127.0.0.1", "localhost:5000", "https://localhost:5000", "same-site"},
      {"127.0.0.1", "localhost:5000", "https://evil.example", "same-origin"},
      {"127.0.0.1", "", "https://", "same-origin"},
  };
  for (const Asker& page : pages) {
    INFO(page.origin << page.site);
    for (const AuthOptions& options : {kRemote, kAlways, kOff}) {
      const auto answer = authorize(request_of(page), options);
      REQUIRE_FALSE(answer);
      CHECK(answer.error().code == base::Errc::forbidden);
    }
  }
}

TEST_CASE("a page is refused though a harmless value of the same header stands first") {
  const std::vector<std::vector<http::Header>> refused{
      {{"Sec-Fetch-Site", "none"}, {"Sec-Fetch-Site", "cross-site"}},
      {{"Origin", "http://localhost:5000"}, {"origin", "http://evil.example"}},
      {{"Sec-Fetch-Mode", "cors"}, {"Sec-Fetch-Mode", "navigate"}},
      {{"Sec-Fetch-Dest", "empty"}, {"Sec-Fetch-Dest", "image"}},
  };
  for (const auto& headers : refused) {
    INFO(headers.front().name);
    http::Request request = request_of({});
    for (const http::Header& header : headers) request.headers.push_back(header);
    const auto page = check_page(request);
    REQUIRE_FALSE(page);
    CHECK(page.error().code == base::Errc::forbidden);
  }
}

TEST_CASE("what the user types into the browser's address line, and our own pages, may") {
  CHECK(authorize(request_of({"127.0.0.1", "localhost:5000", "", "none"}), kRemote));
  CHECK(
      authorize(request_of({"127.0.0.1", "localhost:5000", "http://localhost:5000", "same-origin"}),
                kRemote));
}

// What a request for a change is made by, as its headers.
http::Request change_by(std::vector<http::Header> headers) {
  http::Request request = request_of({});
  request.path = request.target = "/createstream/9000/a:1";
  for (http::Header& header : headers) request.headers.push_back(std::move(header));
  return request;
}

TEST_CASE("a browser that opens or loads ahead what makes a change is refused") {
  const std::vector<std::vector<http::Header>> refused{
      {{"Sec-Fetch-Site", "none"}, {"Sec-Fetch-Mode", "navigate"}, {"Sec-Fetch-Dest", "document"}},
      {{"Sec-Fetch-Site", "same-origin"}, {"Sec-Fetch-Mode", "navigate"}},
      {{"Sec-Fetch-Mode", "Navigate"}},
      {{"sec-fetch-mode", "nested-navigate"}},
      {{"Sec-Fetch-Mode", "no-cors"}, {"Sec-Fetch-Dest", "image"}},
      {{"Sec-Fetch-Mode", "no-cors"}, {"Sec-Fetch-Dest", "empty"}},
      {{"Sec-Fetch-Mode", "websocket"}},
      {{"Sec-Fetch-Mode", "cors"}, {"Sec-Fetch-Dest", "script"}},
      {{"Sec-Fetch-Dest", "iframe"}},
      {{"Sec-Purpose", "prefetch"}},
      {{"Sec-Purpose", "prefetch;prerender"}},
      {{"Sec-Fetch-Mode", "cors"}, {"Sec-Purpose", "Prefetch;anonymous-client-ip"}},
      {{"Purpose", "prefetch"}},
      {{"X-Purpose", "preview"}},
      {{"X-Moz", "prefetch"}},
      {{"Upgrade-Insecure-Requests", "1"}},
      {{"Sec-Purpose", "speculative"}},
      {{"Sec-Fetch-User", "?1"}},
      // What stands second counts as well.
      {{"Sec-Fetch-Mode", "cors"}, {"Sec-Fetch-Mode", "navigate"}},
      {{"Sec-Fetch-Mode", "cors"}, {"sec-fetch-mode", "cors"}},
      {{"Sec-Fetch-Dest", "empty"}, {"Sec-Fetch-Dest", "document"}},
      {{"Sec-Purpose", ""}, {"Sec-Purpose", "prefetch"}},
      {{"Purpose", "x"}, {"Purpose", "prefetch"}},
  };
  for (const auto& headers : refused) {
    INFO(headers.front().name << ": " << headers.front().value);
    const auto may = check_change(change_by(headers));
    REQUIRE_FALSE(may);
    CHECK(may.error().code == base::Errc::forbidden);
  }
}

TEST_CASE("curl, programs and the page's own scripts may make a change") {
  const std::vector<std::vector<http::Header>> allowed{
      {},
      {{"Accept", "*/*"}, {"User-Agent", "curl/7.88.1"}},
      {{"Sec-Fetch-Site", "same-origin"}, {"Sec-Fetch-Mode", "cors"}, {"Sec-Fetch-Dest", "empty"}},
      {{"Sec-Fetch-Site", "same-origin"}, {"Sec-Fetch-Mode", "same-origin"}},
      {{"sec-fetch-mode", "cors"}},  // Node's fetch
      {{"Purpose", "billing"}},
      {{"Purpose", "billing"}, {"Purpose", "report"}},
      {{"Sec-Purpose", ""}},
  };
  for (const auto& headers : allowed) CHECK(check_change(change_by(headers)));
}

TEST_CASE("our own page behind a proxy that speaks TLS may, as the browser says that it is ours") {
  CHECK(check_page(request_of({"127.0.0.1", "edge7", "https://edge7", "same-origin"})));
  CHECK_FALSE(check_page(request_of({"127.0.0.1", "edge7:5000", "https://edge7", "same-origin"})));
  CHECK_FALSE(check_page(request_of({"192.0.2.1", "edge7", "https://edge7", ""})));
}

TEST_CASE("from loopback only a Host counts under which browsers mark what a page asks") {
  struct Row {
    const char* host;
    bool may;
  };
  const Row rows[] = {
      {"localhost", true},
      {"LOCALHOST:5000", true},
      {"x.localhost:5000", true},
      {"X.LocalHost", true},
      {"localhost.:5000", true},  // the root's dot
      {"[0:0:0:0:0:0:0:1]:5000", true},
      {"127.0.0.1:5000", true},
      {"127.9.8.7", true},
      {"[::1]:5000", true},
      {"[::1]", true},
      {"", true},  // no header, as HTTP/1.0 may
      // They lead to loopback, and no browser marks what a page asks there.
      {"0.0.0.0:5000", false},
      {"[::]:5000", false},
      {"[::ffff:127.0.0.1]:5000", false},
      {"edge7:5000", false},
      {"192.0.2.1:5000", false},
      {"[2001:db8::1]:5000", false},
      {"0", false},
      {"127.1", false},
      {"evil.example:5000", false},
      {"localhost.evil", false},
      {"localhost.localdomain", false},
      {"evillocalhost", false},
      {"127.0.0.1.evil", false},
      {"127.evil.example", false},
      {"[evil", false},
      {"[::1].evil.com", false},
      {"[::1]evil", false},
      {"127.0.0.1:80:evil.com", false},
      {"localhost:80:evil.com", false},
      {":5000", false},
  };
  for (const Row& row : rows) {
    INFO(row.host);
    for (const char* peer : {"127.0.0.1", "::1"}) {
      const auto answer = authorize(request_of({peer, row.host}), kRemote);
      CHECK(answer.has_value() == row.may);
      if (answer) continue;
      CHECK(answer.error().code == base::Errc::forbidden);
      CHECK_THAT(answer.error().message, Catch::Contains("ask http://localhost"));
    }
  }
}

TEST_CASE("a Host header without a value is no missing one") {
  http::Request request = request_of({"127.0.0.1", ""});
  request.headers.push_back({"Host", ""});
  CHECK_FALSE(authorize(request, kRemote));
}

TEST_CASE("a page's own origin does not open a Host that browsers do not mark") {
  CHECK_FALSE(authorize(request_of({"127.0.0.1", "0.0.0.0:5000", "http://0.0.0.0:5000"}), kRemote));
  CHECK_FALSE(authorize(
      request_of({"127.0.0.1", "evil.example:5000", "http://evil.example:5000", "same-origin"}),
      kRemote));
}

}  // namespace
}  // namespace sc::api
