#include "daemon.h"

#include <algorithm>
#include <csignal>
#include <utility>

#include "api/legacy.h"
#include "api/ui.h"
#include "api/v1.h"
#include "base/log.h"
#include "config/setting_table.h"
#include "net/socket.h"
#include "open_vault.h"
#include "part_options.h"
#include "store_postbox.h"
#include "watched_threads.h"

namespace sc {
namespace {

using std::chrono::milliseconds;

constexpr std::string_view kDatabaseFile = "/stream-conductor.db";
// At a stop, the answers of requests that are being carried out have this long to go out.
constexpr milliseconds kAnswerTick{10};
constexpr int kAnswerTicks = 100;
// At the end, the database has this long to take the last numbers, and this long to close.
constexpr milliseconds kStoreLimit{2000};
// How often callers that wait for a change are looked at.
constexpr milliseconds kOverdueLook{250};
// A stop waits so long for a manager that does not read, before the hand-over and at the end.
constexpr milliseconds kManagerTick{10};
constexpr int kManagerTicks = 200;
constexpr milliseconds kExpiryLook = std::chrono::minutes(1);

// What systemd passed for the API, or else a socket of our own.
base::Result<std::vector<base::Fd>> open_api(const config::Settings& settings,
                                             std::vector<systemd::PassedFd> passed) {
  std::vector<base::Fd> listeners;
  for (systemd::PassedFd& each : passed) {
    if (each.name == systemd::kApiSocketName) {
      listeners.push_back(std::move(each.fd));
    } else {
      base::log::warning("socket passed by systemd is not used",
                         {{"name", each.name}, {"known", systemd::kApiSocketName}});
    }
  }
  if (!listeners.empty()) return listeners;
  auto address = net::Address::parse_ip(settings.bind_address, settings.bind_port);
  if (!address) return address.error();
  auto listener = net::listen_tcp(*address, {});
  if (!listener) return listener.error();
  listeners.push_back(std::move(*listener));
  return listeners;
}

void log_settings(const config::Configuration& configuration) {
  for (const auto& shown : config::differing(configuration.settings, configuration.sources))
    base::log::info("setting differs from its default",
                    {{"key", shown.key}, {"value", shown.value}, {"source", shown.source}});
  for (const std::string& note : configuration.notes) base::log::info(note);
}

}  // namespace

base::Result<std::unique_ptr<Daemon>> Daemon::make(DaemonOptions options,
                                                   const base::Clock& clock) {
  const config::Settings& settings = options.configuration.settings;
  base::log::set_level(settings.log_level);
  base::log::info("starting", {{"version", options.version}});
  log_settings(options.configuration);
  if (settings.api_auth == config::ApiAuth::off)
    base::log::warning("whoever reaches the API may do everything", {{"api_auth", "off"}});
  warn_of_overlap(settings.port_range);
  if (!settings.api_admin_group.empty() && settings.api_auth != config::ApiAuth::always)
    base::log::warning(
        "api_admin_group is about the unix socket alone: by loopback TCP every user of this host "
        "is "
        "an admin, unless api_auth is always");

  // The store is made before the loop that its answers go to, so that a refused database costs
  // nothing.
  auto post = std::make_shared<StorePostbox>();
  auto store = store::SqliteStore::open(
      settings.state_directory + std::string(kDatabaseFile),
      [post](base::Callback<void()> answer) { post->post(std::move(answer)); });
  if (!store) return store.error();
  // What a former process left is not touched before all that can fail has not.
  std::vector<systemd::PassedFd> stored;
  for (systemd::PassedFd& each : options.passed)
    if (each.is_stored) stored.push_back(std::move(each));
  std::erase_if(options.passed, [](const systemd::PassedFd& each) { return each.is_stored; });
  auto listeners = open_api(settings, std::move(options.passed));
  if (!listeners)
    return base::Error{listeners.error().code, "the API: " + listeners.error().message};
  auto notify = std::make_shared<systemd::NotifyQueue>(clock);
  auto vault = open_vault(settings, std::move(stored), notify, clock);
  std::unique_ptr<Daemon> daemon(new Daemon(std::move(options), clock, std::move(notify),
                                            std::move(*store), std::move(*listeners),
                                            std::move(vault)));
  post->connect(daemon->store_answers_);
  return daemon;
}

Daemon::Daemon(DaemonOptions options, const base::Clock& clock,
               std::shared_ptr<systemd::NotifyQueue> notify,
               std::unique_ptr<store::SqliteStore> store, std::vector<base::Fd> api_listeners,
               std::unique_ptr<handoff::Vault> vault)
    : options_(std::move(options)),
      clock_(clock),
      started_at_(clock.wall()),
      started_(clock.steady()),
      health_(clock),
      notify_queue_(std::move(notify)),
      notify_flusher_(loop_, *notify_queue_),
      notifier_(clock, *notify_queue_),
      store_answers_(loop_, [](base::Callback<void()> answer) { answer(); }),
      store_(std::move(store)),
      vault_(std::move(vault)),
      plane_(loop_, pool_options(options_.configuration.settings, api_listeners, vault_.get()),
             [this](std::uint16_t port, core::Reach reach, const std::string& trouble) {
               conductor_.note_backend(port, reach, trouble);
             }),
      conductor_({options_.configuration.settings.port_range,
                  options_.configuration.settings.drain_timeout},
                 *store_, plane_, clock),
      traffic_keeper_(conductor_.list(), *store_, plane_, clock),
      history_pruner_(*store_, clock, options_.configuration.settings.history_keep, later()),
      drain_(loop_, conductor_, plane_, clock, [this] { notifier_.status(status_line()); }),
      retry_timer_(loop_, [this] { conductor_.retry_due(); }),
      expiry_timer_(loop_, [this] { conductor_.expire_due(); }),
      traffic_timer_(loop_, [this] { on_traffic_due(); }),
      token_book_(*store_, clock),
      later_(loop_),
      database_health_(*store_, health_, clock_, later()),
      metering_(plane_, *store_, server_, events_, liveness_, [this] { return facts(); }),
      metrics_(metering_.services(conductor_, later_)),
      events_(*store_, plane_, token_book_, clock, later()),
      routes_(server_options(worker_count(options_.configuration.settings)).error_body),
      gate_(auth_options(
                options_.configuration.settings, api_listeners,
                [this](const net::Address& address) { return plane_.is_own_address(address); }),
            clock, token_book_, later(),
            [this](const http::Request& request, const core::Caller& caller,
                   http::Responder responder) {
              routes_.route(request, caller, std::move(responder));
            }),
      server_(
          loop_, clock,
          [&] {
            for (const base::Fd& fd : api_listeners)
              api_addresses_.push_back(net::local_address(fd.get()));
            return std::move(api_listeners);
          }(),
          [this](http::Request request, http::Responder responder) {
            gate_.admit(std::move(request), std::move(responder));
          },
          server_options(worker_count(options_.configuration.settings))),
      liveness_(loop_,
                watched_threads(plane_, *store_, *notify_queue_,
                                [this] { notifier_.status(status_line()); }),
                health_, clock),
      watchdog_(loop_, notifier_, [this] { return liveness_.is_alive(); }),
      answer_timer_(loop_, [this] { on_answer_tick(); }),
      stop_wakeup_(loop_, [this] { on_stop(); }),
      reload_wakeup_(loop_, [this] { on_reload(); }) {
  token_book_.set_file_tokens(options_.tokens);
  store_->set_on_damage([this](const std::optional<base::Error>& damage) {
    if (!damage) return health_.clear("database-integrity");
    health_.report("database-integrity",
                   damage->message + "; streams go on: put a backup back and reload the service",
                   core::Readiness::unready);
  });
  plane_.set_on_resolver_trouble([this](const std::string& trouble) {
    trouble.empty() ? health_.clear("resolver")
                    : health_.report("resolver", trouble, core::Readiness::ready);
  });
  health_.set_on_change([this] { notifier_.status(status_line()); });
  store_->set_later(later());
  token_book_.set_later(later());
  // The file that could be opened after all may hold other streams than those that run.
  store_->set_on_opened([this](bool is_another) {
    if (phase_ != Phase::serving || drain_.state() != Drain::State::none) return;
    is_another ? take_up_database(core::service_actor()) : follow_database(core::service_actor());
  });
  conductor_.set_on_first_wait([this] { end_overdue_later(); });
  conductor_.set_on_retry_at([this](std::optional<base::Instant> at) { schedule_retry(at); });
  conductor_.set_on_expiry_at([this](std::optional<base::WallTime> at) { schedule_expiry(at); });
  add_routes();
  listen_to_signals();
}

Daemon::Later Daemon::later() {
  return [this](milliseconds delay, base::Callback<void()> function) {
    later_.after(delay, std::move(function));
  };
}

void Daemon::add_routes() {
  api::add_legacy_routes(routes_, conductor_);
  api::add_v1_routes(routes_, {conductor_, clock_, [this] { return facts(); },
                               [this](std::optional<milliseconds> timeout,
                                      const core::Actor& actor) { drain(timeout, actor); },
                               plane_, events_});
  metrics_.add_to(routes_);
  api::add_ui_routes(routes_);
}

void Daemon::listen_to_signals() {
  for (const int number : {SIGTERM, SIGINT})
    signals_.push_back(std::make_unique<loop::Signal>(loop_, number, [this] { on_stop(); }));
  signals_.push_back(std::make_unique<loop::Signal>(loop_, SIGHUP, [this] { on_reload(); }));
  signals_.push_back(std::make_unique<loop::Signal>(loop_, SIGUSR1, [this] {
    drain(std::nullopt, {"SIGUSR1", {}});
  }));
}

Daemon::~Daemon() = default;

base::Result<void> Daemon::run() {
  if (auto started = start_streams(); !started) return started.error();
  loop_.run();
  for (const std::string& worker : plane_.shutdown())
    leave_behind(worker, "its sessions are left as a kill would leave them");
  // Nothing moves any more. What was asked of the store before is done when it has come to this.
  if (auto saved = store_->commit_now(traffic_keeper_.unsaved(), kStoreLimit); !saved)
    base::log::error("what streams have carried was not written to the database",
                     {{"reason", saved.error().message}});
  if (!store_->finish(kStoreLimit))
    leave_behind("database", "its disk hangs, the database is not closed");
  notify_queue_->finish(kManagerTicks * kManagerTick);
  return {};
}

void Daemon::leave_behind(const std::string& thread, const std::string& what) {
  base::log::error("a thread does not end, the process ends without it",
                   {{"thread", thread}, {"effect", what}});
  left_behind_.push_back(thread);
}

base::Result<void> Daemon::start_streams() {
  const base::Instant started_at = clock_.steady();
  auto stored = store_->load_now();
  if (!stored) return stored.error();
  traffic_keeper_.start(*stored);
  plane_.inherit(*stored, clock_);
  conductor_.boot(*stored, [this, started_at](const core::BootReport& report) {
    on_booted(report, started_at);
  });
  return {};
}

void Daemon::on_booted(const core::BootReport& report, base::Instant started_at) {
  if (phase_ != Phase::starting) return;  // told to stop meanwhile
  phase_ = Phase::serving;
  plane_.settle();
  traffic_timer_.start(core::TrafficKeeper::kEvery);
  history_pruner_.start();
  // What thousands of rows took while they were read and written lies between what is kept: back to
  // the kernel, once the store has let go of its part.
  store_->release_memory();
  database_health_.start();
  server_.start();
  for (const net::Address& address : api_addresses_)
    base::log::info("API listens", {{"address", address.to_string()}});
  const auto took = std::chrono::duration_cast<milliseconds>(clock_.steady() - started_at);
  base::log::info("ready", {{"version", options_.version},
                            {"opened", std::to_string(report.opened)},
                            {"failed", std::to_string(report.failed)},
                            {"disabled", std::to_string(report.disabled)},
                            {"expired", std::to_string(report.expired)},
                            {"workers", std::to_string(plane_.worker_count())},
                            {"ms", std::to_string(took.count())}});
  notifier_.ready(status_line());
}

std::string Daemon::status_line() const {
  if (drain_.state() == Drain::State::running)
    return "draining until " + base::to_iso8601(*drain_.until()) + ", takes no clients";
  if (drain_.state() == Drain::State::over)
    return "drained, takes no clients until it is restarted";
  const core::StreamMap& streams = conductor_.list();
  const auto failed = std::count_if(streams.begin(), streams.end(), [](const auto& each) {
    return each.second.state == core::StreamState::failed;
  });
  std::string line = std::to_string(streams.size()) + " streams";
  if (failed > 0) line += ", " + std::to_string(failed) + " of them failed";
  if (const core::Condition* worst = health_.worst())
    line += "; degraded: " + worst->component + ": " + worst->reason;
  return line;
}

// What the limits came to, whatever the settings were.
api::ServiceFacts Daemon::facts() const {
  const config::Settings& settings = options_.configuration.settings;
  const auto limit = [](std::size_t most) {
    return most == 0 || most == relay::AdmissionLimits::kNone ? std::nullopt
                                                              : std::optional<std::uint64_t>(most);
  };
  api::ServiceFacts facts;
  facts.version = options_.version;
  switch (drain_.state()) {
    case Drain::State::none:
      facts.phase = phase_ == Phase::starting ? api::ServiceFacts::Phase::starting
                                              : api::ServiceFacts::Phase::serving;
      break;
    case Drain::State::running:
      facts.phase = api::ServiceFacts::Phase::draining;
      break;
    case Drain::State::over:
      facts.phase = api::ServiceFacts::Phase::drained;
      break;
  }
  facts.drain_until = drain_.until();
  facts.started_at = started_at_;
  facts.uptime = std::chrono::duration_cast<std::chrono::seconds>(clock_.steady() - started_);
  facts.sessions_active = plane_.sessions();
  facts.workers = plane_.worker_count();
  facts.max_sessions = limit(settings.max_sessions);
  facts.max_sessions_per_stream = limit(settings.max_sessions_per_stream);
  facts.descriptors = limit(descriptors_for_streams(plane_.worker_count()));
  if (facts.max_sessions || facts.descriptors)
    facts.reserved_sessions = plane_.admission().reserved();
  facts.durability = durability();
  facts.conditions = health_.conditions();
  facts.api_clients = server_.client_count();
  facts.max_api_clients = http::ServerOptions{}.max_clients;
  return facts;
}

api::ServiceFacts::Durability Daemon::durability() const {
  using handoff::Trouble;
  api::ServiceFacts::Durability facts;
  if (!vault_) {
    facts.reason = "no service manager keeps descriptors for the service: NOTIFY_SOCKET is not set";
  } else if (!vault_->is_store_there()) {
    facts.reason =
        "the service manager keeps no descriptors: FileDescriptorStoreMax= is 0 or reached";
  } else {
    facts.available = true;
  }
  const handoff::KeepCounters none;
  const handoff::KeepCounters& counters = vault_ ? vault_->counters() : none;
  facts.sessions = counters.sessions.load();
  for (std::size_t i = 1; i < handoff::kTroubles; ++i)
    facts.not_durable.emplace_back(handoff::to_string(static_cast<Trouble>(i)),
                                   counters.not_kept[i].load());
  facts.not_durable.front().second += plane_.unkept_sessions();
  return facts;
}

void Daemon::drain(std::optional<milliseconds> timeout, const core::Actor& actor) {
  if (phase_ == Phase::stopped || hands_over_) return;  // what is being left stays as it is
  drain_.start(timeout.value_or(options_.configuration.settings.drain_timeout), actor);
}

void Daemon::on_stop() {
  switch (phase_) {
    case Phase::starting:
    case Phase::serving: {
      if (vault_ && vault_->is_store_there()) return begin_hand_over();
      const milliseconds limit = options_.configuration.settings.drain_timeout;
      phase_ = Phase::draining;
      base::log::info("stopping", {{"sessions", std::to_string(plane_.sessions())},
                                   {"drain_timeout", base::format_duration(limit)}});
      notifier_.stopping(limit, "draining");
      server_.stop_accepting();
      server_.close_idle();
      drain_.stop(limit, [this] { on_drained(); });
      return;
    }
    case Phase::draining:
    case Phase::answering:
      if (hands_over_) return;  // it takes no time, and what is half kept would be lost
      base::log::warning("stopping at once", {{"sessions", std::to_string(plane_.sessions())}});
      phase_ = Phase::stopped;
      loop_.stop();
      return;
    case Phase::stopped:
      return;
  }
}

// The next process goes on where this one is. If there is to be none, because of `systemctl stop`,
// the manager lets go of what it holds and the kernel resets the sessions. Sessions go on until the
// API's last answers are out.
void Daemon::begin_hand_over() {
  phase_ = Phase::answering;
  hands_over_ = true;
  base::log::info("stopping, the next process takes over",
                  {{"sessions", std::to_string(plane_.sessions())}});
  notifier_.stopping(milliseconds{0}, "handing over");
  conductor_.stop();
  server_.stop_accepting();
  server_.close_idle();
  on_answer_tick();
}

// Sessions go on while the manager does not read: what it does not take is cut.
void Daemon::hand_over() {
  if (notify_queue_->flush() && ++manager_ticks_ < kManagerTicks) {
    answer_timer_.start(kManagerTick);
    return;
  }
  if (notify_queue_->waiting() > 0)
    base::log::warning("handing over although the service manager does not read its messages",
                       {{"messages", std::to_string(notify_queue_->waiting())}});
  plane_.hand_over([this](const relay::HandOverReport& report) {
    base::log::info("handed over",
                    {{"kept", std::to_string(report.kept)}, {"cut", std::to_string(report.cut)}});
    leave();
  });
}

void Daemon::on_drained() {
  if (phase_ != Phase::draining) return;
  phase_ = Phase::answering;
  on_answer_tick();
}

void Daemon::on_answer_tick() {
  if (server_.client_count() > 0 && ++answer_ticks_ < kAnswerTicks) {
    answer_timer_.start(kAnswerTick);
    return;
  }
  if (hands_over_) return hand_over();
  leave();
}

void Daemon::leave() {
  history_pruner_.stop();
  phase_ = Phase::stopped;
  base::log::info("stopped");
  loop_.stop();
}

void Daemon::on_traffic_due() {
  traffic_keeper_.save();
  plane_.sum_up_gone();
  traffic_timer_.start(core::TrafficKeeper::kEvery);
}

void Daemon::end_overdue_later() {
  later_.after(kOverdueLook, [this] {
    conductor_.end_overdue();
    if (conductor_.waiting() > 0) end_overdue_later();
  });
}

void Daemon::schedule_retry(std::optional<base::Instant> at) {
  if (!at) {
    retry_timer_.stop();
    return;
  }
  // Rounded up: a timer that comes early would find nothing due.
  retry_timer_.start(std::chrono::ceil<milliseconds>(*at - clock_.steady()));
}

// The timer runs in steady time, and the host's clock may be set meanwhile: so it is looked at
// again before long.
void Daemon::schedule_expiry(std::optional<base::WallTime> at) {
  if (!at) {
    expiry_timer_.stop();
    return;
  }
  expiry_timer_.start(std::clamp(*at - clock_.wall(), milliseconds{1}, kExpiryLook));
}

}  // namespace sc
