#include <sys/resource.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "bench/pattern.h"
#include "bench/sockets.h"
#include "traffic/backend.h"
#include "traffic/client.h"

namespace {

using sc::traffic::ClientOptions;
using sc::traffic::RateOptions;

constexpr unsigned kMostSessions = 20000;
constexpr double kMostSeconds = 3600;

struct Arguments {
  std::string address;
  std::vector<std::string> modes{"both"};
  ClientOptions client;
  RateOptions rate;
  std::uint64_t patience = 30;
};

// A session is a descriptor of either program; the soft limit is mostly 1,024.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

CLI::App* add_command(CLI::App& app, Arguments& into, const char* name, const char* about) {
  CLI::App* command = app.add_subcommand(name, about);
  command->add_option("--target", into.address, "127.x.y.z:port that leads to the backend")
      ->required();
  command->add_option("--patience", into.patience, "seconds without a byte that end a session")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{3600}));
  return command;
}

void add_sessions(CLI::App& command, Arguments& into) {
  command.add_option("--sessions", into.client.sessions, "how many at a time")
      ->check(CLI::Range(1U, kMostSessions));
}

void add_client(CLI::App& app, Arguments& into) {
  auto& plan = into.client.plan;
  CLI::App* client = add_command(app, into, "client", "sessions that send and look at every byte");
  add_sessions(*client, into);
  client->add_option("--up", plan.up, "bytes of each session");
  client->add_option("--down", plan.down, "bytes of each session");
  client->add_option("--rate", plan.send_rate, "bytes per second, session and direction");
  client->add_option("--receive-rate", plan.client_receive_rate, "of a slow client");
  client->add_option("--backend-receive-rate", plan.backend_receive_rate, "of a slow backend");
  client->add_option("--message", plan.message, "bytes of a ping-pong's message")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 20U));
  client->add_flag("--banner", plan.banner, "wait for the backend's first bytes");
  client
      ->add_option("--modes", into.modes,
                   "of the sessions in turn: " + CLI::detail::join(sc::traffic::mode_names()))
      ->delimiter(',');
}

void add_others(CLI::App& app, Arguments& into) {
  CLI::App* hold = add_command(app, into, "hold", "silent sessions until standard input ends");
  add_sessions(*hold, into);
  CLI::App* rate = add_command(app, into, "rate", "short sessions: 100 bytes up, 1000 down");
  rate->add_option("--per-second", into.rate.per_second)->check(CLI::Range(0.1, 100000.0));
  rate->add_option("--seconds", into.rate.seconds)->check(CLI::Range(0.1, kMostSeconds));
  rate->add_option("--rate", into.rate.rate, "bytes per second of a session's reply");
  CLI::App* backend = app.add_subcommand("backend", "the far end, until standard input ends");
  backend->add_option("--listen", into.address, "127.x.y.z:port, the first of two, or port 0")
      ->required();
}

bool run(const std::string& command, Arguments& arguments) {
  const auto address = sc::bench::parse_loopback(arguments.address);
  if (!address) throw CLI::ValidationError(address.error().message);
  if (command == "backend") return sc::traffic::run_backend(*address);
  if (command == "rate") {
    arguments.rate.target = *address;
    arguments.rate.patience = std::chrono::seconds(arguments.patience);
    return sc::traffic::run_rate(arguments.rate);
  }
  auto& client = arguments.client;
  client.target = *address;
  client.patience = std::chrono::seconds(arguments.patience);
  client.hold = command == "hold";
  if (client.hold) {
    client.plan.up = client.plan.down = 2 * client.plan.message;
    arguments.modes = {"ping-pong"};
  }
  for (const std::string& name : arguments.modes) {
    const auto mode = sc::traffic::parse_mode(name);
    if (!mode) throw CLI::ValidationError("--modes", name + " is none");
    client.modes.push_back(*mode);
  }
  return sc::traffic::run_client(client);
}

int run_program(int argc, char** argv) {
  CLI::App app("Traffic whose every byte, length and end is looked at; prints JSON objects.");
  Arguments arguments;
  app.require_subcommand(1);
  add_client(app, arguments);
  add_others(app, arguments);
  try {
    app.parse(argc, argv);
    return run(app.get_subcommands().front()->get_name(), arguments) ? 0 : 1;
  } catch (const CLI::ParseError& error) {
    return app.exit(error);
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    raise_descriptor_limit();
    return run_program(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "sc-traffic: %s\n", error.what());
  } catch (...) {
    std::fputs("sc-traffic: an unknown exception\n", stderr);
  }
  return 1;
}
