#include "config/command_line.h"

#include "fixture.h"
#include "support/catch.h"

namespace sc::config {
namespace {

TEST_CASE("without arguments the service runs with the defaults") {
  const Configuration configuration = Call{}.serve();
  CHECK(configuration.settings == Settings{});
  CHECK(configuration.notes.empty());
  CHECK(configuration.sources.size() == setting_table().size());
}

TEST_CASE("what is no flag, or a flag without its value, is wrong usage") {
  const auto arguments = GENERATE(values<std::vector<std::string>>({
      {"--no-such-flag"},
      {"--port-rangeX=1"},
      {"-x"},
      {"--bind-port"},
      {"--config"},
      {"--bind-port", "--check"},
      {"--port_range", "1-2"},
      {"--check=false"},
      {"--check="},
      {"serve"},
      {"--", "x"},
      {""},
      {"import", "a", "b"},
      {"import", "--prefix"},
      {"import", "--no-such-flag"},
      {"import", "--check"},
      {"--print-config", "import"},
      {"--dry-run"},
  }));
  CAPTURE(arguments);
  const Finished finished = Call{}.finished(arguments);
  CHECK(finished.exit_code == kExitUsage);
  CHECK(finished.out.empty());
  CHECK(contains(finished.err, "stream-conductor: "));
  CHECK(contains(finished.err, "Try 'stream-conductor --help'"));
}

TEST_CASE("of a flag that is given twice the last one counts") {
  CHECK(Call{}.serve({"--bind-port", "1", "--bind-port=2"}).settings.bind_port == 2);
}

TEST_CASE("a flag can have an empty value or one in brackets, which is not split") {
  Call call;
  call.environment = {{"STREAM_ADDRESS", "127.0.0.1"}};
  CHECK(call.serve({"--stream-address="}).settings.stream_address.empty());
  CHECK(call.serve({"--stream-address", ""}).settings.stream_address.empty());
  CHECK(call.finished({"--stream-address=", "x"}).exit_code == kExitUsage);
  CHECK(contains(call.finished({"--stream-address", "[::1]"}).err, "bad value \"[::1]\""));
}

TEST_CASE("--check says that the configuration is valid, or what is wrong with it") {
  Call call;
  call.environment = {{"NGINX_BIN", "x"}};
  const Finished fine = call.finished({"--check"});
  CHECK(fine.exit_code == kExitDone);
  CHECK(fine.out == "configuration is valid\n");
  CHECK(contains(fine.err, "note: NGINX_BIN"));
  const Finished wrong = call.finished({"--check", "--bind-port", "x"});
  CHECK(wrong.exit_code == kExitConfig);
  CHECK(wrong.out.empty());
}

TEST_CASE(
    "--check refuses an API without tokens that other hosts reach, unless that is asked for") {
  const Call call;
  const auto code = [&](std::vector<std::string> flags) {
    flags.insert(flags.end(), {"--check", "--api-auth=off"});
    return call.finished(flags).exit_code;
  };
  CHECK(code({}) == kExitConfig);
  CHECK(contains(call.finished({"--check", "--api-auth=off"}).err, "--insecure"));
  for (const char* address : {"127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"})
    CHECK(code({std::string("--bind-address=") + address}) == kExitDone);
  for (const char* address : {"::", "10.0.0.1", "::ffff:10.0.0.1"})
    CHECK(code({std::string("--bind-address=") + address}) == kExitConfig);
  CHECK(code({"--insecure"}) == kExitDone);
  CHECK(code({"--insecure=false"}) == kExitConfig);
}

TEST_CASE("a switch stands alone or has its value behind =") {
  const Call call;
  CHECK(call.serve({"--insecure"}).settings.insecure);
  CHECK(call.serve({"--insecure=true"}).settings.insecure);
  CHECK_FALSE(call.serve({"--insecure=false"}).settings.insecure);
  CHECK(call.finished({"--insecure=maybe"}).exit_code == kExitConfig);
  CHECK(call.finished({"--insecure", "true"}).exit_code == kExitUsage);
}

TEST_CASE("--print-config shows each setting and its source") {
  Call call;
  call.environment = {{"BIND_PORT", "0"}};
  const Finished finished = call.finished({"--print-config", "--keepalive=5m"});
  CHECK(finished.exit_code == kExitDone);
  CHECK(finished.err.empty());
  CHECK(finished.out ==
        "port_range = \"9000-9009\"  # default\n"
        "bind_address = \"0.0.0.0\"  # default\n"
        "bind_port = 0  # environment BIND_PORT\n"
        "stream_address = \"\"  # default\n"
        "state_directory = \"/var/lib/stream-conductor\"  # default\n"
        "history_keep = \"400d\"  # default\n"
        "workers = \"auto\"  # default\n"
        "max_sessions = \"auto\"  # default\n"
        "max_sessions_per_stream = \"none\"  # default\n"
        "connect_timeout = \"5s\"  # default\n"
        "resolver = \"dns\"  # default\n"
        "resolve_timeout = \"5s\"  # default\n"
        "resolve_stale = \"1h\"  # default\n"
        "idle_timeout = 0  # default\n"
        "session_lifetime = 0  # default\n"
        "keepalive = \"5m\"  # flag --keepalive\n"
        "drain_timeout = \"10s\"  # default\n"
        "durable_after = \"1s\"  # default\n"
        "log_level = \"info\"  # default\n"
        "log_format = \"text\"  # default\n"
        "log_sessions = \"failed\"  # default\n"
        "api_auth = \"remote\"  # default\n"
        "api_hosts = \"\"  # default\n"
        "api_admin_group = \"\"  # default\n"
        "insecure = \"false\"  # default\n");
}

TEST_CASE("what --print-config prints is a configuration file that gives the same settings") {
  Call call;
  std::vector<std::string> flags{"--port-range=1-2,4-5",
                                 "--bind-address=::1",
                                 "--bind-port=0",
                                 "--stream-address=::",
                                 "--workers=7",
                                 "--idle-timeout=1500ms",
                                 "--keepalive=0",
                                 "--drain-timeout=1d",
                                 "--connect-timeout=90s",
                                 "--durable-after=0",
                                 "--log-level=debug",
                                 "--api-hosts=a.b,::1",
                                 "--insecure",
                                 "--api-auth=off",
                                 "--state-directory=/srv/a \"quoted\" \\ # path = caf\xc3\xa9"};
  const Settings settings = call.serve(flags).settings;
  // The source is shown in a comment, which the name of the file must not break.
  const std::string odd = call.file("", "odd\nworkers = 9\n.toml");
  flags.insert(flags.end(), {"--print-config", "--config", odd});
  const std::string printed = call.file(call.finished(flags).out);
  CHECK(call.serve({"--config", printed}).settings == settings);
  CHECK_FALSE(settings == Settings{});

  call.file("bind_port = 1\n", "odd\nworkers = 9\n.toml");
  const std::string from_odd = call.finished({"--print-config", "--config", odd}).out;
  CHECK(line_count(from_odd) == static_cast<long>(setting_table().size()));
}

TEST_CASE("--version and --help answer whatever the configuration is") {
  Call call;
  call.environment = {{"BIND_PORT", "x"}};
  const Finished version = call.finished({"--version"});
  CHECK(version.exit_code == kExitDone);
  CHECK(version.out == "stream-conductor 1.2.3\n");
  CHECK(version.err.empty());

  const Finished help = call.finished({"--help"});
  CHECK(help.exit_code == kExitDone);
  CHECK(help.err.empty());
  for (const Setting& setting : setting_table()) {
    CHECK(contains(help.out, flag_name(setting) + " "));
    CHECK(contains(help.out, std::string(setting.description)));
  }
  for (const char* part :
       {"--config", "--check", "--print-config", "--version", "import", "64", "78"})
    CHECK(contains(help.out, part));
  CHECK(call.finished({"-h"}).out == help.out);

  const Finished import = call.finished({"import", "--help"});
  CHECK(import.exit_code == kExitDone);
  for (const char* part : {"DIR", "--prefix", "--dry-run", "_conductor_", "78"})
    CHECK(contains(import.out, part));
}

TEST_CASE("import takes its folder and prefix from arguments, environment, file, defaults") {
  Call call;
  const auto place = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "import");
    const Import import = call.import(std::move(arguments));
    return import.directory + " " + import.prefix;
  };
  CHECK(place({}) == "/etc/nginx/stream.d/ _conductor_");
  write_file(call.default_file, "stream_config_path = /file\nstream_prefix = file_\n");
  CHECK(place({}) == "/file file_");
  call.environment = {{"STREAM_CONFIG_PATH", "/env"}, {"STREAM_PREFIX", "env_"}};
  CHECK(place({}) == "/env env_");
  CHECK(place({"/arg", "--prefix", "arg_"}) == "/arg arg_");
  CHECK(place({"--prefix=", "/arg"}) == "/arg ");
}

TEST_CASE("import takes the flags of the settings before and after its name") {
  Call call;
  const std::string file = call.file("workers = 3\n");
  const Import import = call.import({"--config", file, "import", "--state-directory", "/state",
                                     "/dir", "--port-range=1-9", "--dry-run"});
  CHECK(import.configuration.settings.workers == 3);
  CHECK(import.configuration.settings.state_directory == "/state");
  CHECK(import.configuration.settings.port_range.to_string() == "1-9");
  CHECK(import.directory == "/dir");
  CHECK(import.dry_run);
  CHECK_FALSE(call.import({"import"}).dry_run);
  CHECK(call.finished({"import", "--bind-port", "x"}).exit_code == kExitConfig);
}

TEST_CASE("a call without even the program's name serves") {
  const char* const argv[] = {nullptr};
  CHECK(std::holds_alternative<Serve>(parse_command_line(0, argv, {}, {"1", "/nonexistent"})));
}

}  // namespace
}  // namespace sc::config
