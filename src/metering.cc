#include "metering.h"

#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <utility>

namespace sc {
namespace {

double seconds(std::chrono::nanoseconds duration) {
  return std::chrono::duration<double>(duration).count();
}

// proc(5): sizes in pages.
struct Memory {
  std::uint64_t size = 0;
  std::uint64_t resident = 0;
};

Memory read_memory() {
  Memory memory;
  std::ifstream("/proc/self/statm") >> memory.size >> memory.resident;
  const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  return {memory.size * page, memory.resident * page};
}

}  // namespace

Metering::Metering(relay::WorkerPool& plane, const store::SqliteStore& store,
                   const http::Server& server, const api::EventHub& events,
                   const Liveness& liveness, api::FactsSource facts)
    : plane_(plane),
      store_(store),
      server_(server),
      events_(events),
      liveness_(liveness),
      facts_(std::move(facts)) {}

api::MetricsServices Metering::services(core::Conductor& conductor, loop::Later& later) {
  return {conductor,
          [this] { begin(); },
          [this] { return measure(); },
          [this] { return read(); },
          [this](std::uint16_t port) { return plane_.restored(port); },
          [&later](base::Callback<void()> function) {
            later.after(std::chrono::milliseconds{0}, std::move(function));
          }};
}

void Metering::begin() {
  plane_.probe().ask();
  descriptors_.begin();
}

bool Metering::measure() {
  const bool are_counted = descriptors_.step();
  return plane_.probe().is_answered() && are_counted;
}

api::ServiceMetrics Metering::read() const {
  api::ServiceMetrics out;
  out.facts = facts_();
  const relay::Admission& admission = plane_.admission();
  for (const auto missing :
       {relay::Room::no_session, relay::Room::stream_full, relay::Room::no_descriptor}) {
    out.waits.emplace_back(to_string(missing), admission.refusals(missing));
    out.waiting.emplace_back(to_string(missing), admission.waiting(missing));
  }
  out.descriptors = admission.descriptors();
  relay::SessionLatencies latencies = plane_.latencies();
  out.connect = std::move(latencies.connect);
  out.first_byte = std::move(latencies.first_byte);
  out.duration = std::move(latencies.duration);
  out.workers = workers();
  for (const Silence& each : liveness_.silences())
    out.silences.emplace_back(each.thread, seconds(each.duration));
  out.store = {
      store_.commits().times(), store_.commits().failures(),
      store_.queued(),          seconds(store_.oldest_job(std::chrono::steady_clock::now())),
      store_.log().bytes,       store_.log().waiting_bytes,
      store_.log().checkpoints, store_.log().failed_checkpoints};
  out.resolver = resolver();
  out.api = {server_.answers().all(),   server_.evicted(),      server_.turned_away(),
             server_.limit_hits(),      server_.slow_readers(), server_.memory_used(),
             server_.memory_refusals(), events_.watchers(),     events_.notes_missed()};
  out.process = process(out.facts.started_at);
  return out;
}

api::ResolverMetrics Metering::resolver() const {
  const net::ResolverCounters& counters = plane_.resolver().counters();
  api::ResolverMetrics out{counters.queries.load(),
                           counters.hits.load(),
                           counters.stale.load(),
                           counters.failures.load(),
                           {net::ResolverCounters::kBounds, {}, 0}};
  for (const auto& count : counters.took) out.look_ups.counts.push_back(count.load());
  out.look_ups.sum = seconds(std::chrono::microseconds(counters.took_us.load()));
  return out;
}

std::vector<api::WorkerMetrics> Metering::workers() const {
  std::vector<api::WorkerMetrics> out;
  for (const relay::WorkerFacts& each : plane_.probe().facts())
    out.push_back({each.sessions, seconds(each.cpu), seconds(each.loop_lag),
                   each.pipes - each.pipes_at_rest, each.pipes_at_rest});
  return out;
}

api::ProcessMetrics Metering::process(base::WallTime started_at) const {
  api::ProcessMetrics out;
  timespec used{};
  if (::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) == 0)
    out.cpu_seconds =
        seconds(std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec));
  out.start_time = seconds(started_at.time_since_epoch());
  const Memory memory = read_memory();
  out.resident_bytes = memory.resident;
  out.virtual_bytes = memory.size;
  out.open_descriptors = descriptors_.count();
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
    out.most_descriptors = limit.rlim_cur;
  return out;
}

}  // namespace sc
