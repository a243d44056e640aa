#include "net/lost_way.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>

#include "base/fd.h"
#include "base/result.h"
#include "net/error_blame.h"

namespace sc::net {

bool may_be_lost_way(int error) {
  return error == ETIMEDOUT || error == EHOSTUNREACH || error == ENETUNREACH;
}

std::optional<LostWay> lost_way(const Address& from, const Address& to) {
  if (to.family() != AF_INET && to.family() != AF_INET6) return std::nullopt;
  const base::Fd fd(::socket(to.family(), SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd) return std::nullopt;
  if (from.family() == to.family() && !from.is_wildcard()) {
    Address source = from;
    source.set_port(0);
    if (::bind(fd.get(), source.raw(), source.size()) != 0 && errno == EADDRNOTAVAIL)
      return LostWay{EADDRNOTAVAIL, base::describe_errno(to.to_string(), EADDRNOTAVAIL) +
                                        "; this host no longer has the source address " +
                                        from.ip() + ", `ip address` shows what it has"};
  }
  if (::connect(fd.get(), to.raw(), to.size()) == 0) return std::nullopt;
  const int error = errno;
  if (blame_of(ErrorStep::connect, error) != Blame::way) return std::nullopt;
  std::string why = base::describe_errno(to.to_string(), error);
  if (const std::string remedy = remedy_of(ErrorStep::connect, error, to); !remedy.empty())
    why += "; " + remedy;
  return LostWay{error, std::move(why)};
}

}  // namespace sc::net
