#include "net/tcp_answers.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace sc::net {

std::optional<TcpAnswers> tcp_answers(int fd) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return std::nullopt;
  return TcpAnswers{
      .is_outstanding = info.tcpi_unacked > 0 || info.tcpi_probes > 0,
      .has_unsent = info.tcpi_notsent_bytes > 0,
      .since_ack = std::chrono::milliseconds(info.tcpi_last_ack_recv),
      .resent = info.tcpi_total_retrans,
      .timeouts = info.tcpi_retransmits,
      .probes = info.tcpi_probes,
  };
}

}  // namespace sc::net
