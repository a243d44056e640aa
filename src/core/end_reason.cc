#include "core/end_reason.h"

#include <array>

namespace sc::core {
namespace {

constexpr std::array<std::string_view, kEndReasons> kReasons{"finished",
                                                             "empty",
                                                             "client_reset",
                                                             "backend_reset",
                                                             "backend_refused",
                                                             "backend_timeout",
                                                             "backend_unresolved",
                                                             "idle_timeout",
                                                             "lifetime",
                                                             "denied",
                                                             "loop",
                                                             "host",
                                                             "limit",
                                                             "drained",
                                                             "killed",
                                                             "internal"};

}  // namespace

std::string_view to_string(EndReason reason) {
  return kReasons.at(static_cast<std::size_t>(reason));
}

std::string_view to_string(Fault fault) {
  static constexpr std::array<std::string_view, 6> kNames{"nobody", "client",   "backend",
                                                          "policy", "operator", "service"};
  return kNames.at(static_cast<std::size_t>(fault));
}

Fault fault_of(EndReason reason) {
  switch (reason) {
    case EndReason::finished:
    case EndReason::empty:
      return Fault::nobody;
    case EndReason::client_reset:
      return Fault::client;
    case EndReason::backend_reset:
    case EndReason::backend_refused:
    case EndReason::backend_timeout:
    case EndReason::backend_unresolved:
      return Fault::backend;
    case EndReason::idle_timeout:
    case EndReason::lifetime:
    case EndReason::denied:
    case EndReason::loop:
      return Fault::policy;
    case EndReason::drained:
    case EndReason::killed:
      return Fault::operator_;
    case EndReason::host:
    case EndReason::limit:
    case EndReason::internal:
      break;
  }
  return Fault::service;
}

std::string_view to_string(SessionPhase phase) {
  static constexpr std::array<std::string_view, 5> kNames{"accept", "resolve", "connect", "relay",
                                                          "close"};
  return kNames.at(static_cast<std::size_t>(phase));
}

}  // namespace sc::core
