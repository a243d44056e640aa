#pragma once

#include "api/event_hub.h"
#include "api/metrics_endpoint.h"
#include "api/service_facts.h"
#include "base/callback.h"
#include "core/conductor.h"
#include "http/server.h"
#include "liveness.h"
#include "loop/later.h"
#include "open_descriptors.h"
#include "relay/worker_pool.h"
#include "store/sqlite_store.h"

namespace sc {

// Where /metrics has its numbers from. Control thread only.
class Metering {
 public:
  Metering(relay::WorkerPool& plane, const store::SqliteStore& store, const http::Server& server,
           const api::EventHub& events, const Liveness& liveness, api::FactsSource facts);
  Metering(const Metering&) = delete;
  Metering& operator=(const Metering&) = delete;

  api::MetricsServices services(core::Conductor& conductor, loop::Later& later);

 private:
  void begin();
  bool measure();
  api::ServiceMetrics read() const;
  std::vector<api::WorkerMetrics> workers() const;
  api::ResolverMetrics resolver() const;
  api::ProcessMetrics process(base::WallTime started_at) const;

  relay::WorkerPool& plane_;
  const store::SqliteStore& store_;
  const http::Server& server_;
  const api::EventHub& events_;
  const Liveness& liveness_;
  const api::FactsSource facts_;
  OpenDescriptors descriptors_;
};

}  // namespace sc
