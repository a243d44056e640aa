#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/event_hub.h"
#include "api/gate.h"
#include "api/metrics_endpoint.h"
#include "api/routes.h"
#include "api/service_facts.h"
#include "api/token_book.h"
#include "base/clock.h"
#include "base/result.h"
#include "config/command_line.h"
#include "core/conductor.h"
#include "core/health.h"
#include "core/history_pruner.h"
#include "core/token.h"
#include "core/traffic_keeper.h"
#include "database_health.h"
#include "drain.h"
#include "handoff/vault.h"
#include "http/server.h"
#include "liveness.h"
#include "loop/later.h"
#include "loop/loop.h"
#include "loop/mailbox.h"
#include "loop/signal.h"
#include "loop/timer.h"
#include "loop/wakeup.h"
#include "metering.h"
#include "net/address.h"
#include "relay/worker_pool.h"
#include "store/sqlite_store.h"
#include "systemd/listen_fds.h"
#include "systemd/notifier.h"
#include "systemd/notify_flusher.h"
#include "systemd/notify_queue.h"
#include "systemd/watchdog.h"

namespace sc {

struct DaemonOptions {
  std::string version;
  config::Configuration configuration;
  // Asks all sources anew, for SIGHUP; nothing when they are wrong now, which it has logged.
  std::function<std::optional<config::Settings>()> reread;
  // The credential file's tokens, and how to read it again; nothing when it is wrong now, which has
  // been logged.
  std::vector<core::Token> tokens;
  std::function<std::optional<std::vector<core::Token>>()> reread_tokens;
  std::vector<systemd::PassedFd> passed;
};

// The whole service. Members are made in the order in which it starts and die in the reverse. The
// thread that calls run() is the control thread.
class Daemon {
 public:
  // Opens the database and the API's sockets. The error says why the service cannot start.
  static base::Result<std::unique_ptr<Daemon>> make(DaemonOptions options,
                                                    const base::Clock& clock);
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;
  ~Daemon();

  // Opens the streams, serves, and comes back when a stop is over. The error: the streams cannot be
  // read, so nothing was opened.
  base::Result<void> run();

  // As SIGTERM: the first one drains, the second ends it at once. Any thread, while run() runs.
  void request_stop() { stop_wakeup_.wake(); }
  // As SIGHUP.
  void request_reload() { reload_wakeup_.wake(); }

  // Where the API listens; what systemd passed may be a unix socket.
  const std::vector<net::Address>& api_addresses() const { return api_addresses_; }

  store::SqliteStore& store() { return *store_; }

  // Look-ups that cannot be interrupted still run; destroying the Daemon would wait for them.
  static bool waits_for_resolver() { return net::Resolver::is_busy(); }
  // Threads that did not end in time, after run(): destroying the Daemon would wait for them, so
  // the process must end by _exit(2). What they had open is left as a kill would leave it.
  const std::vector<std::string>& left_behind() const { return left_behind_; }

 private:
  enum class Phase : unsigned char {
    starting,   // streams are being opened
    serving,    // the API answers
    draining,   // told to stop: no new clients; sessions have time to end
    answering,  // sessions are over; the API's last answers go out
    stopped,    // the loop is leaving
  };

  Daemon(DaemonOptions options, const base::Clock& clock,
         std::shared_ptr<systemd::NotifyQueue> notify, std::unique_ptr<store::SqliteStore> store,
         std::vector<base::Fd> api_listeners, std::unique_ptr<handoff::Vault> vault);

  using Later = std::function<void(std::chrono::milliseconds, base::Callback<void()>)>;

  // Calls functions on the control thread, each once, after its delay.
  Later later();
  void add_routes();
  void listen_to_signals();
  base::Result<void> start_streams();
  void on_booted(const core::BootReport& report, base::Instant started_at);
  void drain(std::optional<std::chrono::milliseconds> timeout, const core::Actor& actor);
  void on_stop();
  void begin_hand_over();
  void hand_over();
  void leave();
  void leave_behind(const std::string& thread, const std::string& what);
  void on_drained();
  void on_answer_tick();
  void on_reload();
  void follow_database(const core::Actor& actor);
  void take_up_database(const core::Actor& actor);
  void on_followed(const base::Result<core::ReloadReport>& done);
  void on_traffic_due();
  void end_overdue_later();
  void schedule_retry(std::optional<base::Instant> at);
  void schedule_expiry(std::optional<base::WallTime> at);
  std::string status_line() const;
  api::ServiceFacts facts() const;
  api::ServiceFacts::Durability durability() const;

  // Set once.
  const DaemonOptions options_;
  const base::Clock& clock_;
  std::vector<net::Address> api_addresses_;

  base::WallTime started_at_;
  base::Instant started_;

  core::Health health_;

  Phase phase_ = Phase::starting;
  int answer_ticks_ = 0;
  bool hands_over_ = false;
  int manager_ticks_ = 0;
  std::vector<std::string> left_behind_;

  loop::Loop loop_;
  const std::shared_ptr<systemd::NotifyQueue> notify_queue_;
  systemd::NotifyFlusher notify_flusher_;  // outlives the workers
  systemd::Notifier notifier_;
  loop::Mailbox<base::Callback<void()>> store_answers_;
  std::unique_ptr<store::SqliteStore> store_;
  std::unique_ptr<handoff::Vault> vault_;  // null: nobody keeps anything for the next process
  relay::WorkerPool plane_;
  core::Conductor conductor_;
  core::TrafficKeeper traffic_keeper_;
  core::HistoryPruner history_pruner_;
  Drain drain_;
  loop::Timer retry_timer_;
  loop::Timer expiry_timer_;
  loop::Timer traffic_timer_;
  api::TokenBook token_book_;
  loop::Later later_;
  DatabaseHealth database_health_;
  Metering metering_;
  api::MetricsEndpoint metrics_;
  api::EventHub events_;
  api::Routes routes_;
  api::Gate gate_;
  http::Server server_;
  Liveness liveness_;
  systemd::Watchdog watchdog_;
  loop::Timer answer_timer_;
  loop::Wakeup stop_wakeup_;
  loop::Wakeup reload_wakeup_;
  std::vector<std::unique_ptr<loop::Signal>> signals_;
};

}  // namespace sc
