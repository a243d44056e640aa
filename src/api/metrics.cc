#include "api/metrics.h"

#include <cstddef>

#include "core/end_reason.h"
#include "core/stream.h"

namespace sc::api {
namespace {

constexpr std::string_view kPrefix = "stream_conductor_";

// A total that was saved is older than what Prometheus saw before a crash: it would take the fall
// for a reset to 0, and all that is left for new. So counters begin with the process.
core::Traffic counted_here(core::Traffic traffic, const core::Traffic& restored) {
  traffic.sessions_total -= restored.sessions_total;
  traffic.bytes_in -= restored.bytes_in;
  traffic.bytes_out -= restored.bytes_out;
  for (std::size_t i = 0; i < traffic.ended.size(); ++i)
    traffic.ended.at(i) -= restored.ended.at(i);
  return traffic;
}

}  // namespace

MetricsPage::MetricsPage(MetricsForm form)
    : form_(form),
      active_(make(MetricType::gauge, "sessions_active", "Sessions of a stream that run now.")),
      accepted_(make(MetricType::counter, "sessions_accepted",
                     "Sessions of a stream that this process accepted.")),
      ended_(
          make(MetricType::counter, "sessions_ended",
               "Sessions of a stream that ended in this process, by reason; reasons that did not "
               "occur are left out.")),
      bytes_(
          make(MetricType::counter, "relayed_bytes",
               "Bytes of a stream that this process relayed, counted while its sessions run: in, "
               "from clients, taken by the backend; out, from the backend, taken by clients.")) {}

MetricLines MetricsPage::make(MetricType type, std::string_view name, std::string_view help) const {
  return {form_, type, std::string(kPrefix).append(name), help};
}

void MetricsPage::append(std::string_view name, std::string_view help, std::uint64_t value) {
  MetricLines lines = make(MetricType::gauge, name, help);
  lines.add({}, value);
  append(std::move(lines));
}

void MetricsPage::append_total(std::string_view name, std::string_view help, std::uint64_t value) {
  MetricLines lines = make(MetricType::counter, name, help);
  lines.add({}, value);
  append(std::move(lines));
}

void MetricsPage::add(const core::StreamView& view, const core::Traffic& restored) {
  const core::StreamState state = view.stream.state;
  ++states_.at(static_cast<std::size_t>(state));
  if (view.stream.spec.enabled && state != core::StreamState::listening &&
      state != core::StreamState::draining)
    are_all_open_ = false;
  const std::string port = std::to_string(view.stream.spec.port);
  const core::Traffic traffic = counted_here(view.traffic, restored);
  active_.add({{"port", port}}, traffic.sessions_active);
  accepted_.add({{"port", port}}, traffic.sessions_total);
  for (std::size_t i = 0; i < traffic.ended.size(); ++i)
    if (traffic.ended[i] > 0)
      ended_.add({{"port", port}, {"reason", to_string(static_cast<core::EndReason>(i))}},
                 traffic.ended[i]);
  bytes_.add({{"port", port}, {"direction", "in"}}, traffic.bytes_in);
  bytes_.add({{"port", port}, {"direction", "out"}}, traffic.bytes_out);
}

std::string MetricsPage::finish(const ServiceMetrics& service) {
  append_state(service.facts);
  append_sessions(service);
  append_limits(service);
  append_workers(service.workers);
  append_threads(service);
  append_kept(service.facts.durability);
  append_store(service.store);
  append_resolver(service.resolver);
  append_api(service.facts, service.api);
  append_process(service.process);
  if (form_ == MetricsForm::open_metrics) text_ += "# EOF\n";
  return std::move(text_);
}

void MetricsPage::append_state(const ServiceFacts& facts) {
  MetricLines build = make(MetricType::info, "build", "What runs here.");
  build.add({{"version", facts.version}}, std::uint64_t{1});
  append(std::move(build));
  const bool all_ready = are_all_open_ && is_ready(facts);
  append("ready",
         "1 when every enabled stream listens and no part of the service fails, as /readyz says; "
         "else 0.",
         all_ready ? 1U : 0U);
  MetricLines degraded =
      make(MetricType::gauge, "degraded",
           "1 for each component of the service that is degraded now; /v1/status has the reason.");
  for (const core::Condition& condition : facts.conditions)
    degraded.add({{"component", condition.component}}, std::uint64_t{1});
  append(std::move(degraded));
  MetricLines streams = make(MetricType::gauge, "streams", "Streams by state.");
  for (std::size_t i = 0; i < states_.size(); ++i)
    streams.add({{"state", to_string(static_cast<core::StreamState>(i))}}, states_.at(i));
  append(std::move(streams));
}

void MetricsPage::append_sessions(const ServiceMetrics& service) {
  append(std::move(active_));
  append(std::move(accepted_));
  append(std::move(ended_));
  append(std::move(bytes_));
  const auto histogram = [&](std::string_view name, std::string_view help,
                             const core::Histogram& counted) {
    MetricLines lines = make(MetricType::histogram, name, help);
    lines.add(counted);
    append(std::move(lines));
  };
  histogram("session_connect_seconds",
            "From a client's accept until its backend was reached; of all sessions that ended.",
            service.connect);
  histogram("session_first_byte_seconds",
            "From reaching the backend until its first byte; of all sessions that ended.",
            service.first_byte);
  histogram("session_duration_seconds",
            "From a client's accept until its session ended; of all sessions that ended.",
            service.duration);
}

void MetricsPage::append_limits(const ServiceMetrics& service) {
  MetricLines waits =
      make(MetricType::counter, "admission_waits",
           "Times that clients had to wait in a port's backlog, by what was missing.");
  for (const auto& [limit, times] : service.waits) waits.add({{"limit", limit}}, times);
  append(std::move(waits));
  MetricLines waiting = make(MetricType::gauge, "listeners_waiting",
                             "Listeners whose clients wait now, by what is missing.");
  for (const auto& [limit, listeners] : service.waiting) waiting.add({{"limit", limit}}, listeners);
  append(std::move(waiting));
  append("sessions", "Sessions that run now, of all streams, removed ones among them.",
         service.facts.sessions_active);
  if (service.facts.max_sessions)
    append("sessions_limit", "MAX_SESSIONS, where it is set.", *service.facts.max_sessions);
  append("descriptors", "Descriptors that listeners, sessions and their pipes have open.",
         service.descriptors);
  if (service.facts.descriptors)
    append(
        "descriptors_limit",
        "Descriptors that they may have: the process's limit less a reserve; at it clients wait.",
        *service.facts.descriptors);
  if (service.facts.reserved_sessions)
    append("sessions_reserved", "Places for sessions that only streams with few sessions may take.",
           *service.facts.reserved_sessions);
}

void MetricsPage::append_workers(const std::vector<WorkerMetrics>& workers) {
  MetricLines sessions = make(MetricType::gauge, "worker_sessions", "Sessions of a worker now.");
  MetricLines cpu = make(MetricType::counter, "worker_cpu_seconds", "CPU time of a worker.");
  MetricLines lag = make(
      MetricType::gauge, "worker_loop_lag_seconds",
      "The longest time since the last scrape that a message waited until the worker took it. A "
      "message is sent twice a second; one that still waits counts with its time so far.");
  MetricLines pipes = make(MetricType::gauge, "worker_pipes",
                           "Pipes of a worker by state: lent to sessions, or at rest.");
  for (std::size_t i = 0; i < workers.size(); ++i) {
    const std::string worker = std::to_string(i);
    sessions.add({{"worker", worker}}, workers[i].sessions);
    cpu.add({{"worker", worker}}, workers[i].cpu_seconds);
    lag.add({{"worker", worker}}, workers[i].loop_lag_seconds);
    pipes.add({{"worker", worker}, {"state", "lent"}}, workers[i].pipes_lent);
    pipes.add({{"worker", worker}, {"state", "at_rest"}}, workers[i].pipes_at_rest);
  }
  for (MetricLines* lines : {&sessions, &cpu, &lag, &pipes}) append(std::move(*lines));
}

void MetricsPage::append_threads(const ServiceMetrics& service) {
  MetricLines silence = make(MetricType::gauge, "thread_silent_seconds",
                             "How long a thread has not answered a probe; 0 while it answers in "
                             "time or a slow disk or log reader holds it up.");
  for (const auto& [thread, duration] : service.silences)
    silence.add({{"thread", thread}}, duration);
  append(std::move(silence));
}

void MetricsPage::append_kept(const ServiceFacts::Durability& durability) {
  append("durability_available", "1 when sessions can outlive the process, else 0.",
         durability.available ? 1U : 0U);
  append("sessions_kept", "Sessions that would outlive the process now.", durability.sessions);
  MetricLines lost = make(MetricType::counter, "sessions_not_kept",
                          "Sessions that should outlive the process and would not, by cause.");
  for (const auto& [cause, count] : durability.not_durable) lost.add({{"cause", cause}}, count);
  append(std::move(lost));
}

void MetricsPage::append_store(const StoreMetrics& store) {
  MetricLines commits =
      make(MetricType::histogram, "store_commit_seconds",
           "Time of the database's durable transactions; their number is the count.");
  commits.add(store.commits);
  append(std::move(commits));
  append_total("store_failures", "Transactions that the disk or the database did not take.",
               store.failures);
  append("store_queue", "What the database was asked for and has not done yet.", store.queued);
  MetricLines oldest =
      make(MetricType::gauge, "store_oldest_job_seconds",
           "Age of the oldest job of the database that is not done; 0: it is idle.");
  oldest.add({}, store.oldest_job_seconds);
  append(std::move(oldest));
  append("store_log_bytes", "Size of the write-ahead log beside the database file.",
         store.log_bytes);
  append("store_log_waiting_bytes", "Committed bytes that are in the log alone.",
         store.log_waiting_bytes);
  append_total("store_checkpoints", "Checkpoints that copied from the log to the database file.",
               store.checkpoints);
  append_total("store_checkpoint_failures", "Checkpoints that the disk or the database refused.",
               store.failed_checkpoints);
}

void MetricsPage::append_resolver(const ResolverMetrics& resolver) {
  append_total("resolver_queries", "Queries sent to DNS servers, or calls of getaddrinfo.",
               resolver.queries);
  append_total("resolver_hits", "Sessions that found a look-up's result in the cache.",
               resolver.hits);
  append_total("resolver_stale",
               "Sessions that used addresses older than their TTL, as no DNS server answered.",
               resolver.stale);
  append_total("resolver_failures", "Look-ups of a name that found no address.", resolver.failures);
  MetricLines look_ups = make(MetricType::histogram, "resolver_seconds",
                              "Time of look-ups until the first address or the failure.");
  look_ups.add(resolver.look_ups);
  append(std::move(look_ups));
}

void MetricsPage::append_api(const ServiceFacts& facts, const ApiMetrics& api) {
  MetricLines requests =
      make(MetricType::counter, "api_requests",
           "Answers of the API by route and status; route unmatched: refused before, or no such.");
  for (const auto& [key, count] : api.answers) {
    const bool is_matched = !key.route.pattern.empty();
    requests.add({{"method", is_matched ? std::string_view(key.route.method) : "any"},
                  {"route", is_matched ? std::string_view(key.route.pattern) : "unmatched"},
                  {"code", std::to_string(key.status)}},
                 count);
  }
  append(std::move(requests));
  append("api_clients", "Clients that are connected to the API.", facts.api_clients);
  append("api_clients_limit", "How many there may be.", facts.max_api_clients);
  append_total("api_clients_evicted", "Clients that lost their place to a newcomer.", api.evicted);
  append_total("api_clients_turned_away", "Clients that found no place and were closed.",
               api.turned_away);
  append_total("api_clients_waits", "Times that clients had to wait, all places being answered.",
               api.waits);
  append_total("api_slow_readers",
               "Clients that were dropped because they did not take their answer as it came.",
               api.slow_readers);
  append("api_memory_bytes", "Bytes that requests' bodies and answers take.", api.memory_bytes);
  append_total(
      "api_memory_refusals",
      "Requests that got 503 because bodies and answers took all the memory that they may.",
      api.memory_refusals);
  append("api_event_watchers", "Clients that watch /v1/events.", api.watchers);
  append_total("api_event_notes_missed",
               "What /v1/events did not tell of sessions because too much came at once.",
               api.notes_missed);
}

// Under the names that client libraries use.
void MetricsPage::append_process(const ProcessMetrics& process) {
  const auto one = [&](MetricType type, std::string_view name, std::string_view help, auto value) {
    MetricLines lines(form_, type, name, help);
    lines.add({}, value);
    append(std::move(lines));
  };
  one(MetricType::counter, "process_cpu_seconds", "User and system CPU time of the process.",
      process.cpu_seconds);
  one(MetricType::gauge, "process_start_time_seconds", "When it started, in seconds since 1970.",
      process.start_time);
  one(MetricType::gauge, "process_resident_memory_bytes", "Resident memory.",
      process.resident_bytes);
  one(MetricType::gauge, "process_virtual_memory_bytes", "Virtual memory.", process.virtual_bytes);
  one(MetricType::gauge, "process_open_fds", "Open descriptors.", process.open_descriptors);
  if (process.most_descriptors)
    one(MetricType::gauge, "process_max_fds", "How many may be open.", *process.most_descriptors);
}

}  // namespace sc::api
