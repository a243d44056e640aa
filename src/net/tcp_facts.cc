#include "net/tcp_facts.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>

#include "net/socket.h"

namespace sc::net {
namespace {

// By the numbers of tcp(7)'s states, from TCP_ESTABLISHED, which is 1.
constexpr std::array<std::string_view, 12> kStates{
    "unknown",   "established", "syn_sent",   "syn_recv", "fin_wait1", "fin_wait2",
    "time_wait", "close",       "close_wait", "last_ack", "listen",    "closing"};

// 0 where the kernel has no answer, as of a socket that is closed.
std::uint64_t queued(int fd, unsigned long what) {
  int bytes = 0;
  if (::ioctl(fd, what, &bytes) != 0) return 0;
  return static_cast<std::uint64_t>(std::max(bytes, 0));
}

}  // namespace

std::optional<TcpFacts> tcp_facts(int fd) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return std::nullopt;
  TcpFacts facts;
  facts.local = local_address(fd);
  facts.state = kStates.at(info.tcpi_state < kStates.size() ? info.tcpi_state : 0);
  facts.rtt = std::chrono::microseconds(info.tcpi_rtt);
  facts.rttvar = std::chrono::microseconds(info.tcpi_rttvar);
  facts.retransmits = info.tcpi_total_retrans;
  facts.lost = info.tcpi_lost;
  facts.congestion_window = info.tcpi_snd_cwnd;
  facts.mss = info.tcpi_snd_mss;
  facts.unread = queued(fd, SIOCINQ);
  facts.unsent = queued(fd, SIOCOUTQNSD);
  facts.unacknowledged = queued(fd, SIOCOUTQ);
  return facts;
}

}  // namespace sc::net
