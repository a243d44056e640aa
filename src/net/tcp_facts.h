#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include "net/address.h"

namespace sc::net {

// What the kernel knows of a TCP socket at a moment (tcp(7): TCP_INFO, SIOCINQ, SIOCOUTQ;
// linux/sockios.h: SIOCOUTQNSD). A value.
struct TcpFacts {
  Address local;
  std::string_view state;            // `established`, `close_wait`, ...
  std::chrono::microseconds rtt{0};  // smoothed
  std::chrono::microseconds rttvar{0};
  std::uint32_t retransmits = 0;        // segments, in all
  std::uint32_t lost = 0;               // segments that are taken for lost now
  std::uint32_t congestion_window = 0;  // segments
  std::uint32_t mss = 0;                // bytes, of what we send
  std::uint64_t unread = 0;             // bytes
  std::uint64_t unsent = 0;
  std::uint64_t unacknowledged = 0;
};

// Nothing for what is no TCP socket. Five calls to the kernel; any thread.
std::optional<TcpFacts> tcp_facts(int fd);

}  // namespace sc::net
