#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/metrics_text.h"
#include "api/service_facts.h"
#include "core/histogram.h"
#include "core/ledger.h"
#include "http/answer_counts.h"

namespace sc::api {

// What there is to measure beyond the streams, at one moment. Values.
struct WorkerMetrics {
  std::uint64_t sessions = 0;
  double cpu_seconds = 0;
  double loop_lag_seconds = 0;
  std::uint64_t pipes_lent = 0;
  std::uint64_t pipes_at_rest = 0;
};

struct StoreMetrics {
  core::Histogram commits;  // durable transactions
  std::uint64_t failures = 0;
  std::uint64_t queued = 0;
  double oldest_job_seconds = 0;  // the age of the oldest job that is not done
  // Of the write-ahead log.
  std::uint64_t log_bytes = 0;
  std::uint64_t log_waiting_bytes = 0;
  std::uint64_t checkpoints = 0;
  std::uint64_t failed_checkpoints = 0;
};

struct ResolverMetrics {
  std::uint64_t queries = 0;
  std::uint64_t hits = 0;
  std::uint64_t stale = 0;
  std::uint64_t failures = 0;
  core::Histogram look_ups;
};

struct ProcessMetrics {
  double cpu_seconds = 0;
  double start_time = 0;  // seconds since 1970
  std::uint64_t resident_bytes = 0;
  std::uint64_t virtual_bytes = 0;
  std::uint64_t open_descriptors = 0;
  std::optional<std::uint64_t> most_descriptors;  // nothing: no limit
};

struct ApiMetrics {
  std::map<http::AnswerCounts::Key, std::uint64_t> answers;
  std::uint64_t evicted = 0;
  std::uint64_t turned_away = 0;
  std::uint64_t waits = 0;  // for a place
  std::uint64_t slow_readers = 0;
  std::uint64_t memory_bytes = 0;  // that requests' bodies and answers take now
  std::uint64_t memory_refusals = 0;
  std::uint64_t watchers = 0;  // of events, now
  std::uint64_t notes_missed = 0;
};

struct ServiceMetrics {
  ServiceFacts facts;
  std::vector<std::pair<std::string_view, std::uint64_t>> waits;  // for a session's place, by limit
  std::vector<std::pair<std::string_view, std::uint64_t>> waiting;  // listeners now, by limit
  std::uint64_t descriptors = 0;  // that streams and their sessions have open
  // Of the sessions of all streams together, those that have ended. A histogram for each of 9,000
  // streams would be 400,000 lines, some 30 MB a scrape; which stream is slow, its sessions and
  // failures tell.
  core::Histogram connect;
  core::Histogram first_byte;
  core::Histogram duration;
  std::vector<WorkerMetrics> workers;
  std::vector<std::pair<std::string, double>> silences;  // by thread, in seconds
  StoreMetrics store;
  ResolverMetrics resolver;
  ApiMetrics api;
  ProcessMetrics process;
};

// The answer of /metrics in the making: the streams, a few at a time, then all else. No label has
// a value that clients choose, nor anybody's address.
class MetricsPage {
 public:
  explicit MetricsPage(MetricsForm form);

  // Of its traffic, what former processes counted is left out.
  void add(const core::StreamView& view, const core::Traffic& restored);
  // Once, at last.
  std::string finish(const ServiceMetrics& service);

 private:
  MetricLines make(MetricType type, std::string_view name, std::string_view help) const;
  void append(MetricLines lines) { text_ += lines.take(); }
  void append(std::string_view name, std::string_view help, std::uint64_t value);
  void append_total(std::string_view name, std::string_view help, std::uint64_t value);
  void append_state(const ServiceFacts& facts);
  void append_sessions(const ServiceMetrics& service);
  void append_limits(const ServiceMetrics& service);
  void append_workers(const std::vector<WorkerMetrics>& workers);
  void append_threads(const ServiceMetrics& service);
  void append_store(const StoreMetrics& store);
  void append_resolver(const ResolverMetrics& resolver);
  void append_api(const ServiceFacts& facts, const ApiMetrics& api);
  void append_kept(const ServiceFacts::Durability& durability);
  void append_process(const ProcessMetrics& process);

  const MetricsForm form_;
  MetricLines active_;
  MetricLines accepted_;
  MetricLines ended_;
  MetricLines bytes_;
  std::array<std::uint64_t, 4> states_{};  // streams by StreamState
  bool are_all_open_ = true;               // all enabled ones
  std::string text_;
};

}  // namespace sc::api
