#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

namespace sc::net {

// Whether the peer of a connected TCP socket answers, as the kernel knows it (tcp(7): TCP_INFO). A
// value.
struct TcpAnswers {
  // Sent bytes or an end are not acknowledged, or a window probe is not answered.
  bool is_outstanding = false;
  bool has_unsent = false;                 // bytes wait to be sent, as behind a closed window
  std::chrono::milliseconds since_ack{0};  // since the latest segment of the peer with an ACK
  std::uint32_t resent = 0;                // segments that were sent again, in all
  std::uint8_t timeouts = 0;               // retransmission timeouts since the peer took a new byte
  std::uint8_t probes = 0;                 // unanswered probes of a closed window, or keepalives
};

// nullopt: no TCP socket. One call to the kernel; any thread.
std::optional<TcpAnswers> tcp_answers(int fd);

}  // namespace sc::net
