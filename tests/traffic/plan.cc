#include "traffic/plan.h"

#include <algorithm>
#include <array>
#include <utility>

namespace sc::traffic {
namespace {

constexpr std::array<std::pair<std::string_view, Mode>, 5> kNames{{
    {"both", Mode::both},
    {"down-last", Mode::down_last},
    {"up-last", Mode::up_last},
    {"ping-pong", Mode::ping_pong},
    {"reply", Mode::reply},
}};

}  // namespace

std::optional<Mode> parse_mode(std::string_view name) {
  for (const auto& [known, mode] : kNames)
    if (known == name) return mode;
  return std::nullopt;
}

std::vector<std::string_view> mode_names() {
  std::vector<std::string_view> names;
  for (const auto& [name, mode] : kNames) names.push_back(name);
  return names;
}

std::uint64_t first_position(const Plan& plan, Side sender) {
  constexpr std::uint64_t kPrime = 7919;
  const std::uint64_t up = (plan.seed & 0xffffffffU) * kPrime;
  return sender == Side::client ? up : up + 500'009;  // half a period of the pattern away
}

std::uint64_t bytes_to_send(const Plan& plan, Side side) {
  return side == Side::client ? plan.up : plan.down;
}

std::uint64_t bytes_to_receive(const Plan& plan, Side side) {
  return side == Side::client ? plan.down : plan.up;
}

std::uint64_t may_send_to(const Plan& plan, Side side, const Progress& progress) {
  const std::uint64_t all = bytes_to_send(plan, side);
  const bool is_client = side == Side::client;
  switch (plan.mode) {
    case Mode::both:
      break;
    case Mode::down_last:
      return is_client || progress.received_end ? all : 0;
    case Mode::up_last:
      return !is_client || progress.received_end ? all : 0;
    case Mode::ping_pong: {
      if (progress.received == bytes_to_receive(plan, side)) return all;
      const std::uint64_t whole = progress.received / plan.message * plan.message;
      return std::min(all, is_client ? whole + plan.message : whole);
    }
    case Mode::reply:
      return is_client || progress.received == plan.up ? all : 0;
  }
  return all;
}

bool may_end(const Plan& plan, Side side, const Progress& progress) {
  if (progress.sent_end || progress.sent < bytes_to_send(plan, side)) return false;
  // With nothing to send, what is waited for is still the other end's.
  if (may_send_to(plan, side, progress) < bytes_to_send(plan, side)) return false;
  switch (plan.mode) {
    case Mode::both:
    case Mode::ping_pong:
      return true;
    case Mode::down_last:
      return side == Side::client || progress.received_end;
    case Mode::up_last:
      return side == Side::backend || progress.received_end;
    case Mode::reply:
      return side == Side::client ? progress.received_end : progress.received == plan.up;
  }
  return true;
}

bool is_owed(const Plan& plan, Side side, const Progress& progress) {
  if (progress.received_end) return false;
  const bool all_sent = progress.sent == bytes_to_send(plan, side);
  switch (plan.mode) {
    case Mode::both:
      return true;
    case Mode::down_last:
      return side == Side::backend || progress.sent_end;
    case Mode::up_last:
      return side == Side::client || progress.sent_end;
    case Mode::ping_pong:
      return progress.sent_end || (side == Side::client ? progress.received < progress.sent
                                                        : progress.received == progress.sent);
    case Mode::reply:
      return side == Side::backend || all_sent;
  }
  return true;
}

}  // namespace sc::traffic
