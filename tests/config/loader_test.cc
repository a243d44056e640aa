#include "config/loader.h"

#include "fixture.h"
#include "support/catch.h"

namespace sc::config {
namespace {

struct Values {
  std::string key;
  std::string file, environment, flag;  // all different, none the default
};

const std::vector<Values>& values_of_settings() {
  static const std::vector<Values> kAll{
      {"port_range", "1-2", "3-4", "5-6,8-9"},
      {"bind_address", "127.0.0.1", "127.0.0.2", "::1"},
      {"bind_port", "1", "0", "3"},
      {"stream_address", "127.0.0.1", "127.0.0.2", "::1"},
      {"state_directory", "/file", "/environment", "/flag"},
      {"history_keep", "1h", "forever", "90d"},
      {"workers", "1", "2", "3"},
      {"max_sessions", "1", "2", "3"},
      {"max_sessions_per_stream", "1", "2", "3"},
      {"connect_timeout", "1s", "2s", "3s"},
      {"resolver", "system", "dns", "system"},
      {"resolve_timeout", "1s", "2s", "3s"},
      {"resolve_stale", "1s", "0", "3s"},
      {"idle_timeout", "1s", "2s", "3s"},
      {"session_lifetime", "12h", "2s", "365d"},
      {"keepalive", "1s", "2s", "0"},
      {"drain_timeout", "1s", "0", "3s"},
      {"durable_after", "2s", "0", "3s"},
      {"log_level", "debug", "warning", "error"},
      {"log_format", "json", "text", "json"},
      {"log_sessions", "all", "none", "failed"},
      {"api_auth", "off", "remote", "always"},
      {"api_hosts", "a", "b,c", "::1"},
      {"api_admin_group", "1", "2", "3"},
      {"insecure", "true", "false", "true"},
  };
  return kAll;
}

TEST_CASE("of two sources of a setting the later wins: default, file, environment, flag") {
  REQUIRE(values_of_settings().size() == setting_table().size());
  for (const Values& row : values_of_settings()) {
    const Setting* setting = find_setting(row.key);
    REQUIRE(setting);
    CAPTURE(row.key);
    Call call;
    const auto shown = [&](const std::vector<std::string>& arguments) {
      const Configuration now = call.serve(arguments);
      return std::pair(setting->print(now.settings), now.sources.at(row.key));
    };
    using Pair = std::pair<std::string, std::string>;

    CHECK(shown({}) == Pair(setting->print({}), "default"));
    write_file(call.default_file, row.key + " = \"" + row.file + "\"\n");
    CHECK(shown({}) == Pair(row.file, "file " + call.default_file));
    const std::string other = call.file("# nothing\n");
    CHECK(shown({"--config", other}) == Pair(setting->print({}), "default"));
    call.file(row.key + " = '" + row.file + "'\n");
    CHECK(shown({"--config", other}) == Pair(row.file, "file " + other));
    call.environment[environment_name(*setting)] = row.environment;
    CHECK(shown({}) == Pair(row.environment, "environment " + environment_name(*setting)));
    const std::string flag = flag_name(*setting);
    CHECK(shown({flag + "=" + row.flag}) == Pair(row.flag, "flag " + flag));
    if (setting->is_switch) continue;
    CHECK(shown({flag, row.flag}) == Pair(row.flag, "flag " + flag));
    call.environment.clear();
    CHECK(shown({flag, row.flag, "--config", other}) == Pair(row.flag, "flag " + flag));
  }
}

TEST_CASE("an error names the key, the value, the source and what is allowed") {
  for (const Setting& setting : setting_table()) {
    const std::string key(setting.key);
    const std::string tail = "; allowed: " + std::string(setting.allowed) + "\n";
    CAPTURE(key);
    Call call;
    const std::string file = call.file("# first\n" + key + " = \"?\"\n");
    const Finished by_file = call.finished({"--config", file});
    CHECK(by_file.exit_code == kExitConfig);
    CHECK(by_file.out.empty());
    CHECK(by_file.err ==
          "stream-conductor: " + key + ": bad value \"?\" (file " + file + ", line 2)" + tail);

    const Finished by_flag = call.finished({flag_name(setting) + "=?"});
    CHECK(by_flag.exit_code == kExitConfig);
    CHECK(by_flag.err == "stream-conductor: " + key + ": bad value \"?\" (flag " +
                             flag_name(setting) + ")" + tail);

    call.environment[environment_name(setting)] = "?";
    const Finished by_environment = call.finished();
    CHECK(by_environment.exit_code == kExitConfig);
    CHECK(by_environment.err == "stream-conductor: " + key + ": bad value \"?\" (environment " +
                                    environment_name(setting) + ")" + tail);
  }
}

TEST_CASE("a key that does not exist is an error that names it and those that do") {
  Call call;
  const std::string file = call.file("bind_prot = 5001\nPORT_RANGE = 1-2\n");
  const Finished finished = call.finished({"--config", file});
  CHECK(finished.exit_code == kExitConfig);
  CHECK(line_count(finished.err) == 2);
  CHECK(contains(finished.err, "unknown key \"bind_prot\" with value \"5001\" (file " + file +
                                   ", line 1); allowed: port_range, bind_address, bind_port"));
  CHECK(contains(finished.err, "\"PORT_RANGE\""));
}

TEST_CASE("all errors of all sources are told at once") {
  Call call;
  write_file(call.default_file, "workers = many\n[section]\nnobody = 1\n");
  call.environment = {{"BIND_PORT", "70000"}, {"LOG_LEVEL", "loud"}};
  const Finished finished = call.finished({"--keepalive", "1ms", "--bind-port", "1"});
  CHECK(finished.exit_code == kExitConfig);
  CHECK(line_count(finished.err) == 6);
  for (const char* part :
       {"\"many\"", "line 2: \"[section]\"", "\"nobody\"", "\"70000\"", "\"loud\"", "\"1ms\""})
    CHECK(contains(finished.err, part));
}

TEST_CASE("the default file may be missing, one that was asked for may not") {
  Call call;
  CHECK(call.serve().settings == Settings{});
  call.default_file = (call.folder.path() / "no/such/folder/file.toml").string();
  CHECK(call.serve().settings == Settings{});
  const std::string missing = (call.folder.path() / "missing.toml").string();
  const Finished finished = call.finished({"--config", missing, "--workers", "0"});
  CHECK(finished.exit_code == kExitConfig);
  CHECK(contains(finished.err, "cannot read " + missing));
  CHECK(contains(finished.err, "ENOENT"));
  CHECK(contains(finished.err, "bad value \"0\" (flag --workers)"));
}

TEST_CASE("a file that is there but cannot be read is an error, the default one too") {
  Call call;
  call.default_file = call.folder.path().string();  // a folder: not readable for root either
  const Finished folder = call.finished();
  CHECK(folder.exit_code == kExitConfig);
  CHECK(contains(folder.err, "EISDIR"));
  const Finished endless = call.finished({"--config", "/dev/zero"});
  CHECK(endless.exit_code == kExitConfig);
  CHECK(contains(endless.err, "EFBIG"));
}

TEST_CASE(
    "of several paths in STATE_DIRECTORY the first counts, elsewhere ':' is part of the path") {
  Call call;
  call.environment = {{"STATE_DIRECTORY", "/var/lib/a:/var/lib/b"}};
  CHECK(call.serve().settings.state_directory == "/var/lib/a");
  CHECK(call.serve({"--state-directory", "/x:y"}).settings.state_directory == "/x:y");
  call.environment = {{"STATE_DIRECTORY", ":/var/lib/b"}};
  CHECK(call.finished().exit_code == kExitConfig);
}

TEST_CASE("what the original was told and is not used here is noted, not refused") {
  Call call;
  call.environment = {{"NGINX_BIN", "/usr/sbin/nginx"}, {"STREAM_PREFIX", "x_"}, {"HOME", "/"}};
  write_file(call.default_file, "stream_config_path = \"/etc/nginx/stream.d/\"\n");
  const Configuration configuration = call.serve();
  CHECK(configuration.settings == Settings{});
  const std::vector<std::string> expected{
      "STREAM_CONFIG_PATH (file " + call.default_file +
          ", line 1) is used by `stream-conductor import` only",
      "NGINX_BIN (environment NGINX_BIN) is without effect: nginx is not used",
      "STREAM_PREFIX (environment STREAM_PREFIX) is used by `stream-conductor import` only",
  };
  CHECK(configuration.notes == expected);
  call.environment.clear();
  write_file(call.default_file, "");
  CHECK(call.serve().notes.empty());
}

TEST_CASE("the environment is copied as getenv would read it") {
  const char* const variables[] = {"A=1", "B=x=y", "EMPTY=", "nonsense", "A=2", nullptr};
  const Environment expected{{"A", "1"}, {"B", "x=y"}, {"EMPTY", ""}};
  CHECK(copy_environment(variables) == expected);
  CHECK(copy_environment(nullptr).empty());
}

TEST_CASE("the shipped file changes nothing and shows every setting with its default") {
  Call call;
  CHECK(call.serve({"--config", SC_SHIPPED_CONFIG}).settings == Settings{});
  CHECK(differing(call.serve({"--config", SC_SHIPPED_CONFIG}).settings, {}).empty());

  // Each line `#key = value` is one to uncomment.
  const std::string text = read_file(SC_SHIPPED_CONFIG);
  std::string uncommented;
  for (const Setting& setting : setting_table()) {
    CAPTURE(setting.key);
    const std::string start = "\n#" + std::string(setting.key) + " = ";
    const std::size_t at = text.find(start);
    REQUIRE(at != std::string::npos);
    uncommented += text.substr(at + 2, text.find('\n', at + 1) - at - 1);
  }
  const std::string file = call.file(uncommented);
  const Configuration configuration = call.serve({"--config", file});
  CHECK(configuration.settings == Settings{});
  for (const auto& [key, source] : configuration.sources) CHECK(source == "file " + file);
}

}  // namespace
}  // namespace sc::config
