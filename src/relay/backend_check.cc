#include "relay/backend_check.h"

#include <utility>

#include "relay/session_end.h"

namespace sc::relay {
namespace {

net::DialOptions tracing(net::DialOptions options) {
  options.traces_all = true;
  return options;
}

}  // namespace

BackendCheck::BackendCheck(loop::Loop& loop, const core::Backend& backend, net::DialOptions options,
                           OnDone on_done)
    : started_(std::chrono::steady_clock::now()),
      on_done_(std::move(on_done)),
      dialer_(loop, backend, tracing(options),
              [this](net::Dialer::Outcome outcome) { on_outcome(std::move(outcome)); }) {}

void BackendCheck::on_outcome(net::Dialer::Outcome outcome) {
  const auto after = [this](base::Instant at) {
    return std::chrono::duration_cast<std::chrono::microseconds>(at - started_);
  };
  core::CheckReport report;
  report.is_reachable = outcome.dialed.has_value();
  if (outcome.dialed) {
    report.address = outcome.dialed->address.to_string();
    outcome.dialed->poll.reset();
    outcome.dialed->fd.reset();
  } else {
    report.reason = reason_of(outcome.error.failure);
    report.trouble = std::move(outcome.error.message);
  }
  if (outcome.trace.resolved_at) {
    report.resolved_after = after(*outcome.trace.resolved_at);
    for (const net::Address& address : dialer_.addresses())
      report.addresses.push_back(address.to_string());
  }
  report.tried = to_told(outcome.trace.tried);
  report.took = after(std::chrono::steady_clock::now());
  auto done = std::move(on_done_);  // done may destroy this: touch nothing after
  done(std::move(report));
}

}  // namespace sc::relay
