#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/fd_room.h"
#include "base/log.h"
#include "config/command_line.h"
#include "config/exposure.h"
#include "config/token_file.h"
#include "daemon.h"
#include "database_command.h"
#include "handoff/keeper.h"
#include "handoff/start_rate.h"
#include "import_command.h"
#include "net/socket.h"
#include "systemd/fd_store.h"
#include "systemd/journal.h"
#include "systemd/listen_fds.h"
#include "token_command.h"
#include "version.h"

namespace {

constexpr int kExitFailed = 1;

// Two descriptors a session: the soft limit, often 1,024, is there for programs that use select(2).
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

// So that the first 2,000 sessions do not wait for room, and none that a former process has left: a
// capsule of it may hold so many.
void make_fd_room(const std::vector<sc::systemd::PassedFd>& passed) {
  constexpr std::size_t kAnyway = 4096;
  const auto stored =
      std::count_if(passed.begin(), passed.end(), [](const auto& each) { return each.is_stored; });
  sc::base::make_fd_room(kAnyway +
                         2 * sc::handoff::Keeper::kMostRecords * static_cast<std::size_t>(stored));
}

// What the host refuses only when threads and loops are made comes as an exception.
sc::base::Result<std::unique_ptr<sc::Daemon>> make_daemon(sc::DaemonOptions options,
                                                          const sc::base::Clock& clock) try {
  return sc::Daemon::make(std::move(options), clock);
} catch (const std::exception& failure) {
  return sc::base::Error{sc::base::Errc::unavailable, failure.what()};
}

// Judged by the sockets themselves: those that systemd passes take bind_address' place.
bool other_hosts_reach_api(const sc::config::Settings& settings,
                           const std::vector<sc::systemd::PassedFd>& passed) {
  bool is_passed = false;
  for (const sc::systemd::PassedFd& each : passed) {
    if (each.name != sc::systemd::kApiSocketName) continue;
    is_passed = true;
    const auto address = sc::net::local_address(each.fd.get());
    if (!address.is_unix() && !address.is_loopback()) return true;
  }
  return !is_passed && !sc::config::is_loopback_literal(settings.bind_address);
}

// Why no client could connect to an address of the settings; nullopt: none is a broadcast address.
std::optional<std::string> find_broadcast(const sc::config::Settings& settings,
                                          const std::vector<sc::systemd::PassedFd>& passed) {
  const auto fault = [](const char* setting, const std::string& ip) {
    return std::string(setting) + " " + ip +
           " is a broadcast address, which TCP cannot connect to: give an address of this host";
  };
  bool is_passed = false;
  for (const sc::systemd::PassedFd& each : passed) {
    if (each.name != sc::systemd::kApiSocketName) continue;
    is_passed = true;
    const auto address = sc::net::local_address(each.fd.get());
    if (sc::net::is_broadcast(address)) return fault("ListenStream", address.ip());
  }
  const auto is_broadcast = [](const std::string& ip) {
    const auto address = sc::net::Address::parse_ip(ip, 0);
    return address && sc::net::is_broadcast(*address);
  };
  if (!is_passed && is_broadcast(settings.bind_address))
    return fault("bind_address", settings.bind_address);
  if (is_broadcast(settings.stream_address))
    return fault("stream_address", settings.stream_address);
  return std::nullopt;
}

// A service manager tries again at once, see StartRate.
int fail(const std::string& reason) {
  sc::base::log::error("cannot start", {{"reason", reason}});
  if (sc::systemd::FdStore::is_there()) std::this_thread::sleep_for(sc::handoff::StartRate::kEvery);
  return kExitFailed;
}

// Blocks SIGTERM, SIGINT, SIGHUP and SIGUSR1 until the process ends. The loop's handlers go with
// the daemon; a signal that arrives later would kill the process instead of letting it exit with 0.
void block_signals_for_good() {
  sigset_t handled{};
  ::sigemptyset(&handled);
  for (const int number : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) ::sigaddset(&handled, number);
  ::pthread_sigmask(SIG_BLOCK, &handled, nullptr);
}

std::optional<std::vector<sc::core::Token>> reread_tokens() {
  auto tokens = sc::config::load_token_credential(sc::config::copy_environment(environ));
  if (tokens) return std::move(*tokens);
  sc::base::log::error("the file of tokens is wrong now, the present ones stay",
                       {{"reason", tokens.error().message}});
  return std::nullopt;
}

int run_daemon(sc::config::Serve serve, std::vector<sc::systemd::PassedFd> passed,
               const sc::config::Program& program, int argc, const char* const* argv,
               sc::base::log::Thread& log_thread) {
  const sc::config::Settings& settings = serve.configuration.settings;
  auto fault = sc::config::find_exposure(settings, other_hosts_reach_api(settings, passed));
  if (!fault) fault = find_broadcast(settings, passed);
  if (fault) {
    sc::base::log::error("cannot start", {{"reason", *fault}});
    return sc::config::kExitConfig;
  }
  auto tokens = sc::config::load_token_credential(sc::config::copy_environment(environ));
  if (!tokens) {
    sc::base::log::error("cannot start", {{"reason", tokens.error().message}});
    return sc::config::kExitConfig;
  }
  sc::DaemonOptions options;
  options.tokens = std::move(*tokens);
  options.reread_tokens = reread_tokens;
  options.version = program.version;
  options.configuration = std::move(serve.configuration);
  options.passed = std::move(passed);
  options.reread = [&]() -> std::optional<sc::config::Settings> {
    auto again =
        sc::config::parse_command_line(argc, argv, sc::config::copy_environment(environ), program);
    if (auto* fine = std::get_if<sc::config::Serve>(&again)) return fine->configuration.settings;
    if (const auto* wrong = std::get_if<sc::config::Finished>(&again))
      sc::base::log::error("configuration is wrong now, the present one stays",
                           {{"reason", wrong->err}});
    return std::nullopt;
  };
  const sc::base::SystemClock clock;
  auto daemon = make_daemon(std::move(options), clock);
  if (!daemon) return fail(daemon.error().message);
  if (auto served = (*daemon)->run(); !served) return fail(served.error().message);
  block_signals_for_good();
  // The resolver, a thread that stands still and a thread that waits for a hanging disk cannot be
  // interrupted. All else is on disk or with the service manager.
  if (sc::Daemon::waits_for_resolver() || !(*daemon)->left_behind().empty()) {
    log_thread.finish();
    ::_exit(sc::config::kExitDone);
  }
  return sc::config::kExitDone;
}

int serve(sc::config::Serve serve, const sc::config::Program& program, int argc,
          const char* const* argv) {
  std::signal(SIGPIPE, SIG_IGN);  // a splice to a dead socket raises it
  raise_descriptor_limit();
  sc::base::log::set_format(serve.configuration.settings.log_format);
  sc::systemd::log_to_journal_if_connected();
  auto passed = sc::systemd::take_passed_fds();
  if (!passed) return fail(passed.error().message);
  make_fd_room(*passed);
  sc::base::log::Thread log_thread;  // after it, see base/fd_room
  int code = kExitFailed;
  try {
    code = run_daemon(std::move(serve), std::move(*passed), program, argc, argv, log_thread);
  } catch (const std::exception& fault) {  // here, as main cannot log where nobody reads the log
    sc::base::log::error("internal fault", {{"reason", fault.what()}});
  }
  if (!log_thread.finish()) ::_exit(code);
  return code;
}

int finish(const sc::config::Finished& finished) {
  std::fputs(finished.out.c_str(), stdout);
  std::fputs(finished.err.c_str(), stderr);
  return std::fflush(stdout) == 0 ? finished.exit_code : kExitFailed;
}

}  // namespace

int main(int argc, char** argv) try {
  const sc::config::Program program{sc::kVersion};
  auto invocation =
      sc::config::parse_command_line(argc, argv, sc::config::copy_environment(environ), program);
  if (const auto* finished = std::get_if<sc::config::Finished>(&invocation))
    return finish(*finished);
  if (const auto* import = std::get_if<sc::config::Import>(&invocation))
    return sc::import_streams(*import, sc::base::SystemClock{});
  if (const auto* create = std::get_if<sc::config::CreateToken>(&invocation))
    return sc::create_token(*create, sc::base::SystemClock{});
  if (const auto* list = std::get_if<sc::config::ListTokens>(&invocation))
    return sc::list_tokens(*list, sc::base::SystemClock{});
  if (const auto* revoke = std::get_if<sc::config::RevokeToken>(&invocation))
    return sc::revoke_token(*revoke, sc::base::SystemClock{});
  if (const auto* backup = std::get_if<sc::config::BackUpDatabase>(&invocation))
    return sc::back_up_database(*backup);
  if (const auto* restore = std::get_if<sc::config::RestoreDatabase>(&invocation))
    return sc::restore_database(*restore);
  if (const auto* check = std::get_if<sc::config::CheckDatabase>(&invocation))
    return sc::check_database(*check);
  return serve(std::get<sc::config::Serve>(std::move(invocation)), program, argc, argv);
} catch (const std::exception& fault) {
  sc::base::log::error("internal fault", {{"reason", fault.what()}});
  return kExitFailed;
}
