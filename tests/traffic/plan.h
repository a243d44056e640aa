#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

// What the two ends of a session have agreed to send, and in which order. Numbers in the host's
// order: both ends run on one host.
namespace sc::traffic {

enum class Mode : std::uint32_t {
  both,       // both directions at once
  down_last,  // the backend sends once the client has ended its half
  up_last,    // the client sends once the backend has ended its half
  ping_pong,  // a message up, its reply down, and so on
  reply,      // the backend replies once it has everything and ends first; then the client ends
};

std::optional<Mode> parse_mode(std::string_view name);
std::vector<std::string_view> mode_names();

enum class Side : std::uint8_t { client, backend };

// The first bytes that a client sends. Rates are bytes per second, 0 is as fast as it goes.
struct Plan {
  static constexpr std::uint64_t kMagic = 0x74726166666963U;  // "traffic"

  std::uint64_t magic = kMagic;
  std::uint64_t seed = 0;  // where in the pattern each direction begins
  std::uint64_t up = 0;
  std::uint64_t down = 0;
  std::uint64_t message = 64;             // bytes of a ping-pong's message and of its reply
  std::uint64_t send_rate = 0;            // of either end
  std::uint64_t client_receive_rate = 0;  // slow readers
  std::uint64_t backend_receive_rate = 0;
  Mode mode = Mode::both;
  std::uint32_t banner = 0;  // 1: the backend speaks first, so the session is one of its other port
};
static_assert(sizeof(Plan) == 72);

// Where in the pattern a direction's bytes begin.
std::uint64_t first_position(const Plan& plan, Side sender);

// How far one end is: bytes and ends that it sent and received itself.
struct Progress {
  std::uint64_t sent = 0;
  std::uint64_t received = 0;
  bool sent_end = false;
  bool received_end = false;
};

std::uint64_t bytes_to_send(const Plan& plan, Side side);
std::uint64_t bytes_to_receive(const Plan& plan, Side side);
// Up to which position the order of things lets that end send now.
std::uint64_t may_send_to(const Plan& plan, Side side, const Progress& progress);
// Everything is sent; may it also end its half?
bool may_end(const Plan& plan, Side side, const Progress& progress);
// Is it the other end's turn, so that silence is a pause?
bool is_owed(const Plan& plan, Side side, const Progress& progress);

}  // namespace sc::traffic
