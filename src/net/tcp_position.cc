#include "net/tcp_position.h"

// Of the two headers that define it glibc's tcp_info (netinet/tcp.h) is too old to count bytes.
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cstddef>

namespace sc::net {
namespace {

// States of which linux/tcp.h has no names (include/net/tcp_states.h).
enum class State : std::uint8_t {
  close = 7,
  close_wait = 8,
  last_ack = 9,
  listen = 10,
  closing = 11
};

State state_of(const tcp_info& info) { return static_cast<State>(info.tcpi_state); }

constexpr int kTries = 1000;

bool ask(int fd, tcp_info& info) {
  socklen_t size = sizeof info;
  return ::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 &&
         size >= offsetof(tcp_info, tcpi_bytes_received) + sizeof info.tcpi_bytes_received &&
         state_of(info) != State::listen;
}

// What TCP_INFO says, and what waits: of one moment, as nothing has changed around the latter.
std::optional<tcp_info> at_one_moment(int fd, unsigned long what, int& waiting) {
  tcp_info before{};
  tcp_info after{};
  if (!ask(fd, before)) return std::nullopt;
  for (int i = 0; i < kTries; ++i) {
    if (::ioctl(fd, what, &waiting) != 0 || !ask(fd, after)) return std::nullopt;
    if (before.tcpi_state == after.tcpi_state &&
        before.tcpi_bytes_received == after.tcpi_bytes_received &&
        before.tcpi_bytes_acked == after.tcpi_bytes_acked)
      return after;
    before = after;
  }
  return std::nullopt;
}

bool has_failed(int fd) {
  pollfd one{fd, 0, 0};
  return ::poll(&one, 1, 0) != 0 && (one.revents & (POLLERR | POLLNVAL)) != 0;
}

}  // namespace

// An end that has come counts as a byte that was received and as none that waits (tcp_inq).
std::optional<std::uint64_t> bytes_read(int fd) {
  int unread = 0;
  const auto info = at_one_moment(fd, SIOCINQ, unread);
  if (!info) return std::nullopt;
  const State state = state_of(*info);
  // In order it is closed after both ends.
  if (state == State::close && has_failed(fd)) return std::nullopt;
  const bool has_end = state == State::close || state == State::close_wait ||
                       state == State::last_ack || state == State::closing;
  return info->tcpi_bytes_received - static_cast<std::uint64_t>(unread) - (has_end ? 1 : 0);
}

std::optional<std::uint64_t> bytes_written(int fd) {
  int unacknowledged = 0;
  const auto info = at_one_moment(fd, SIOCOUTQ, unacknowledged);
  if (!info) return std::nullopt;
  return info->tcpi_bytes_acked + static_cast<std::uint64_t>(unacknowledged);
}

}  // namespace sc::net
