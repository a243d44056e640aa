#include "config/setting_table.h"

#include "fixture.h"
#include "support/catch.h"

namespace sc::config {
namespace {

using namespace std::chrono_literals;

struct Text {
  std::string key;
  std::vector<std::string> good;  // as they are printed again
  std::vector<std::string> bad;
};

const std::vector<Text>& texts() {
  static const std::vector<Text> all{
      {"port_range",
       {"9000-9009", "1-65535", "8080", "9000-9009,10000-10999"},
       {"", "9000-", "-9", "0-5", "9009-9000", "1-65536", "9000 - 9009", "a", "9000-9009,"}},
      {"bind_address",
       {"0.0.0.0", "127.0.0.1", "::", "::1"},
       {"", "localhost", "1.2.3", "[::1]", "1.2.3.4:5", "224.0.0.1"}},
      {"bind_port",
       {"0", "1", "65535"},
       {"", "65536", "-1", "+1", "05000", "5000 ", "http", "0x10"}},
      {"stream_address", {"", "0.0.0.0", "::", "10.0.0.1"}, {"*", "eth0", "[::]", " "}},
      {"state_directory",
       {"/", "/var/lib/x", "/srv/a b", "/srv/#\"\\"},
       {"", "var/lib", "./x", "~/x", "/a\nb"}},
      {"history_keep",
       {"forever", "1h", "90d", "400d", "36500d"},
       {"", "0", "59m", "36501d", "400", "never", "FOREVER"}},
      {"workers", {"auto", "1", "256"}, {"", "0", "257", "-1", "AUTO", "1.5"}},
      {"max_sessions", {"auto", "1", "10000000"}, {"", "0", "10000001", "none", "-1", "1k"}},
      {"max_sessions_per_stream", {"none", "1", "5000"}, {"", "0", "auto", "10000001", "-1"}},
      {"connect_timeout",
       {"100ms", "1500ms", "5s", "5m"},
       {"", "0", "99ms", "301s", "6m", "5", "-5s", "5 s"}},
      {"resolver", {"dns", "system"}, {"", "DNS", "getaddrinfo", "true"}},
      {"resolve_timeout", {"100ms", "1500ms", "5s", "5m"}, {"", "0", "99ms", "301s", "5", "-5s"}},
      {"resolve_stale", {"0", "1s", "1h", "30d"}, {"", "999ms", "31d", "60", "never"}},
      {"idle_timeout", {"0", "1s", "90s", "30d"}, {"", "999ms", "31d", "721h", "60", "never"}},
      {"session_lifetime", {"0", "1s", "12h", "365d"}, {"", "999ms", "366d", "60", "never"}},
      {"keepalive",
       {"0", "1s", "1m", "32767s"},
       {"", "500ms", "1500ms", "32768s", "10h", "60", "off"}},
      {"drain_timeout", {"0", "1ms", "10s", "1d"}, {"", "2d", "25h", "10", "-1s"}},
      {"durable_after", {"0", "1ms", "1s", "1h"}, {"", "61m", "1d", "1", "never"}},
      {"log_level", {"debug", "info", "warning", "error"}, {"", "warn", "INFO", "trace", "1"}},
      {"log_format", {"text", "json"}, {"", "JSON", "logfmt"}},
      {"log_sessions", {"all", "failed", "none"}, {"", "ALL", "finished", "true"}},
      {"api_auth", {"remote", "always", "off"}, {"", "on", "OFF", "none", "true"}},
      {"api_hosts",
       {"", "edge", "edge.example", "edge.example,10.0.0.1,::1"},
       {",", "a,", ",a", "a b", "a:5000", "[::1]", "http://a", "*.example", "1.2.3"}},
      {"api_admin_group", {"", "root", "0", "4242"}, {"no such group", "-1", "4294967295"}},
      {"insecure", {"true", "false"}, {"", "yes", "TRUE", "1"}},
  };
  return all;
}

TEST_CASE("the table has every setting once, and the defaults print as values that it takes") {
  CHECK(setting_table().size() == texts().size());
  for (const Text& text : texts()) CHECK(find_setting(text.key) != nullptr);
  CHECK(find_setting("bind_prot") == nullptr);
  for (const Setting& setting : setting_table()) {
    CAPTURE(setting.key);
    Settings settings;
    CHECK(setting.parse(setting.print(settings), settings));
    CHECK(settings == Settings{});
  }
}

TEST_CASE("each allowed value is taken and printed as it was given") {
  for (const Text& text : texts()) {
    const Setting* setting = find_setting(text.key);
    REQUIRE(setting);
    for (const std::string& value : text.good) {
      CAPTURE(text.key, value);
      Settings settings;
      CHECK(setting->parse(value, settings));
      const std::string printed = setting->print(settings);
      Settings again;
      CHECK(setting->parse(printed, again));
      CHECK(again == settings);
      if (value != "90s") CHECK(printed == value);  // 90s is 1m and a half: printed as 90s
    }
  }
}

TEST_CASE("a value that is not allowed is refused and changes nothing") {
  for (const Text& text : texts()) {
    const Setting* setting = find_setting(text.key);
    REQUIRE(setting);
    for (const std::string& value : text.bad) {
      CAPTURE(text.key, value);
      Settings settings;
      CHECK_FALSE(setting->parse(value, settings));
      CHECK(settings == Settings{});
    }
  }
}

TEST_CASE("the defaults are those of the manual") {
  const Settings defaults;
  CHECK(defaults.port_range.to_string() == "9000-9009");
  CHECK(defaults.port_range.size() == 10);
  CHECK(defaults.bind_address == "0.0.0.0");
  CHECK(defaults.bind_port == 5000);
  CHECK(defaults.stream_address.empty());
  CHECK(defaults.state_directory == "/var/lib/stream-conductor");
  CHECK(defaults.workers == 0);
  CHECK(defaults.connect_timeout == 5s);
  CHECK(defaults.resolver == Resolver::dns);
  CHECK(defaults.resolve_timeout == 5s);
  CHECK(defaults.resolve_stale == 1h);
  CHECK(defaults.idle_timeout == 0s);
  CHECK(defaults.session_lifetime == 0s);
  CHECK(defaults.history_keep == std::chrono::days(400));
  CHECK(defaults.keepalive == 60s);
  CHECK(defaults.drain_timeout == 10s);
  CHECK(defaults.durable_after == 1s);
  CHECK(defaults.log_level == base::log::Level::info);
  CHECK(defaults.log_format == base::log::Format::text);
  CHECK(defaults.log_sessions == core::LoggedSessions::failed);
  CHECK(defaults.api_auth == ApiAuth::remote);
  CHECK(defaults.api_hosts.empty());
  CHECK(defaults.api_admin_group.empty());
  CHECK_FALSE(defaults.insecure);
}

TEST_CASE("a host of the API is compared as Host names it, without a zone") {
  Settings settings;
  REQUIRE(find_setting("api_hosts")->parse("FE80::0:1%lo,Edge.", settings));
  CHECK(settings.api_hosts == std::vector<std::string>{"fe80::1", "edge"});
}

TEST_CASE("a setting has one name in the file, the environment and the flags") {
  const Setting* setting = find_setting("connect_timeout");
  REQUIRE(setting);
  CHECK(environment_name(*setting) == "CONNECT_TIMEOUT");
  CHECK(flag_name(*setting) == "--connect-timeout");
}

TEST_CASE("the log can ask which settings differ from the defaults and why") {
  Call call;
  call.environment = {{"BIND_PORT", "5001"}, {"LOG_LEVEL", "info"}};
  const Configuration configuration = call.serve({"--workers", "2"});
  const std::vector<ShownSetting> expected{{"bind_port", "5001", "environment BIND_PORT"},
                                           {"workers", "2", "flag --workers"}};
  CHECK(differing(configuration.settings, configuration.sources) == expected);
  CHECK(differing({}, {}).empty());
}

}  // namespace
}  // namespace sc::config
