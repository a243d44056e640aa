#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <optional>
#include <string>

#include "bench/api.h"
#include "bench/backend.h"
#include "bench/bulk.h"
#include "bench/connect.h"
#include "bench/idle.h"
#include "bench/ping_pong.h"
#include "bench/sockets.h"

namespace {

using sc::bench::Report;

constexpr unsigned kMostSessions = 100000;
constexpr double kMostSeconds = 3600;

// What the command line can say; each subcommand takes what is its own.
struct Arguments {
  std::string address;
  std::string direction = "up";
  unsigned sessions = 1;
  double seconds = 1;
  std::size_t size = 64;
  std::uint64_t bytes = 0;
  std::string api_backend;
  std::uint16_t first_port = 0;
  unsigned count = 1;
  unsigned lists = 0;
  std::string only;
  bool verify = false;
  bool hold = false;
  bool sendfile = false;
};

sc::bench::SendMode send_mode(const Arguments& arguments) {
  return arguments.sendfile ? sc::bench::SendMode::sendfile : sc::bench::SendMode::copy;
}

CLI::App* add_command(CLI::App& app, Arguments& into, const char* name, const char* about) {
  CLI::App* command = app.add_subcommand(name, about);
  command->add_option("--target", into.address, "127.x.y.z:port of the proxy")->required();
  return command;
}

void add_count(CLI::App& command, Arguments& into, const char* name) {
  command.add_option(name, into.sessions, "how many at a time")
      ->check(CLI::Range(1U, kMostSessions));
}

void add_load(CLI::App& command, Arguments& into, const char* sessions) {
  add_count(command, into, sessions);
  command.add_option("--seconds", into.seconds, "for how long")
      ->check(CLI::Range(0.0, kMostSeconds));
}

void add_size(CLI::App& command, Arguments& into) {
  command.add_option("--size", into.size, "bytes of a request and of its reply")
      ->check(CLI::Range(std::size_t{1}, sc::bench::Pattern::kMaxMessage));
}

void add_bulk(CLI::App& app, Arguments& into) {
  CLI::App* bulk = add_command(app, into, "bulk", "as many bytes as go, one way");
  add_load(*bulk, into, "--sessions");
  bulk->add_option("--direction", into.direction)->check(CLI::IsMember({"up", "down"}));
  bulk->add_option("--bytes", into.bytes, "for each session, in place of --seconds");
  bulk->add_flag("--verify", into.verify, "look at every byte");
  bulk->add_flag("--until-input-ends", into.hold, "at most --seconds");
  bulk->add_flag("--sendfile", into.sendfile, "send without a copy");
}

void add_exchanges(CLI::App& app, Arguments& into) {
  CLI::App* ping_pong = add_command(app, into, "ping-pong", "a request at a time");
  add_load(*ping_pong, into, "--sessions");
  add_size(*ping_pong, into);
  CLI::App* connect = add_command(app, into, "connect", "connect, request, reply, close");
  add_load(*connect, into, "--concurrency");
  add_size(*connect, into);
  CLI::App* idle = add_command(app, into, "idle", "sessions that stay until standard input ends");
  add_count(*idle, into, "--sessions");
}

void add_api(CLI::App& app, Arguments& into) {
  CLI::App* api = add_command(app, into, "api", "create, list and remove streams");
  add_count(*api, into, "--concurrency");
  api->add_option("--backend", into.api_backend, "where the streams lead")->required();
  api->add_option("--first-port", into.first_port, "of the streams")->required();
  api->add_option("--count", into.count, "of streams")->check(CLI::Range(1U, 10000U));
  api->add_option("--lists", into.lists, "how often to list them")->check(CLI::Range(0U, 10000U));
  api->add_option("--only", into.only, "create and leave them, or remove those of before")
      ->check(CLI::IsMember({"create", "remove"}));
}

void add_backend(CLI::App& app, Arguments& into) {
  CLI::App* backend = app.add_subcommand("backend", "the far end: a sink, a source, an echo");
  backend->add_option("--listen", into.address, "127.x.y.z:port, the first of three, or port 0")
      ->required();
  backend->add_flag("--verify", into.verify, "the sink looks at every byte");
  backend->add_flag("--sendfile", into.sendfile, "the source sends without a copy");
}

std::optional<Report> run(const std::string& command, const Arguments& arguments) {
  const auto address = sc::bench::parse_loopback(arguments.address);
  if (!address) throw CLI::ValidationError(address.error().message);
  if (command == "backend") {
    sc::bench::run_backend(
        {.listen = *address, .verify = arguments.verify, .send = send_mode(arguments)});
    return std::nullopt;
  }
  if (command == "bulk")
    return sc::bench::run_bulk({.target = *address,
                                .up = arguments.direction == "up",
                                .sessions = arguments.sessions,
                                .seconds = arguments.seconds,
                                .bytes = arguments.bytes,
                                .verify = arguments.verify,
                                .until_input_ends = arguments.hold,
                                .send = send_mode(arguments)});
  if (command == "ping-pong")
    return sc::bench::run_ping_pong({.target = *address,
                                     .size = arguments.size,
                                     .sessions = arguments.sessions,
                                     .seconds = arguments.seconds});
  if (command == "idle")
    return sc::bench::run_idle({.target = *address, .sessions = arguments.sessions});
  if (command == "api")
    return sc::bench::run_api({.target = *address,
                               .backend = arguments.api_backend,
                               .first_port = arguments.first_port,
                               .count = arguments.count,
                               .concurrency = arguments.sessions,
                               .lists = arguments.lists,
                               .create = arguments.only != "remove",
                               .remove = arguments.only != "create"});
  return sc::bench::run_connect({.target = *address,
                                 .size = arguments.size,
                                 .concurrency = arguments.sessions,
                                 .seconds = arguments.seconds});
}

int run_program(int argc, char** argv) {
  CLI::App app("Load for stream-conductor and what it is compared with; prints one JSON object.");
  Arguments arguments;
  app.require_subcommand(1);
  add_backend(app, arguments);
  add_bulk(app, arguments);
  add_exchanges(app, arguments);
  add_api(app, arguments);
  std::optional<Report> report;
  try {
    app.parse(argc, argv);
    report = run(app.get_subcommands().front()->get_name(), arguments);
  } catch (const CLI::ParseError& error) {
    return app.exit(error);
  }
  if (!report) return 0;
  std::puts(report->text().c_str());
  if (report->failures() == 0) return 0;
  std::fprintf(stderr, "%llu failed, the first: %s\n",
               static_cast<unsigned long long>(report->failures()),
               report->first_failure().c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);  // sendfile(2) has no MSG_NOSIGNAL
  try {
    return run_program(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "stream-conductor-load: %s\n", error.what());
  } catch (...) {
    std::fputs("stream-conductor-load: an unknown exception\n", stderr);
  }
  return 1;
}
