#include "relay/backend_check.h"

#include <utility>

#include "relay/session_end.h"

namespace sc::relay {
core::Resolution to_resolution(const net::Name& name, const base::Clock& clock) {
  core::Resolution told;
  told.name = name.text();
  if (const auto failure = name.last_failure()) {
    told.failed_at = failure->at;
    told.last_failure = failure->message;
  }
  const auto answer = name.answer();
  if (!answer) return told;
  told.source = to_string(answer->source);
  told.failure = answer->message;
  if (answer->addresses.empty()) return told;
  for (const net::Address& address : answer->addresses) told.addresses.push_back(address.ip());
  told.age = std::chrono::floor<std::chrono::milliseconds>(clock.steady() - answer->answered_at);
  if (answer->ttl.count() > 0) told.ttl = answer->ttl;
  told.is_stale = answer->is_stale;
  return told;
}

BackendCheck::BackendCheck(loop::Loop& loop, const core::Backend& backend, net::DialOptions options,
                           OnDone on_done)
    : started_(std::chrono::steady_clock::now()),
      name_(options.name),
      on_done_(std::move(on_done)),
      dialer_(loop, backend, options,
              [this](net::Dialer::Outcome outcome) { on_outcome(std::move(outcome)); }) {}

void BackendCheck::on_outcome(net::Dialer::Outcome outcome) {
  const auto after = [this](base::Instant at) {
    return std::chrono::duration_cast<std::chrono::microseconds>(at - started_);
  };
  core::CheckReport report;
  report.is_reachable = outcome.dialed.has_value();
  if (outcome.dialed) {
    report.address = outcome.dialed->address.to_string();
    outcome.dialed.reset();  // its announcement ends before its socket is closed
  } else {
    report.reason = reason_of(outcome.error.failure);
    report.trouble = std::move(outcome.error.message);
  }
  if (outcome.trace.resolved_at) {
    report.resolved_after = after(*outcome.trace.resolved_at);
    for (const net::Address& address : dialer_.addresses())
      report.addresses.push_back(address.to_string());
  }
  if (name_) report.resolution = to_resolution(*name_, base::SystemClock());
  report.tried = to_told(outcome.trace.tried);
  report.took = after(std::chrono::steady_clock::now());
  auto done = std::move(on_done_);  // done may destroy this: touch nothing after
  done(std::move(report));
}

}  // namespace sc::relay
