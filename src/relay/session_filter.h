#pragma once

#include "base/clock.h"
#include "core/session.h"
#include "relay/session.h"

namespace sc::relay {

// A query's conditions, ready to be held against very many sessions.
class SessionFilter {
 public:
  explicit SessionFilter(const core::SessionQuery& query);

  bool lets_through(const Session& session) const;

 private:
  std::optional<std::uint16_t> port_;
  std::optional<net::PackedAddress> client_;
  base::Instant latest_;  // accepted by then
  std::uint64_t min_bytes_;
};

}  // namespace sc::relay
