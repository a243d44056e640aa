#include "handoff/capsule.h"

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cassert>
#include <cerrno>
#include <cstring>

#include "base/send_fds.h"

namespace sc::handoff {
namespace {

union ControlBuffer {
  std::array<char, CMSG_SPACE(sizeof(int) * base::kMostSentFds)> bytes;
  cmsghdr aligned;
};

}  // namespace

std::optional<CapsuleEnds> make_capsule() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) != 0)
    return std::nullopt;
  return CapsuleEnds{base::Fd(ends[0]), base::Fd(ends[1])};
}

bool is_hung_up(int inner) {
  pollfd one{inner, 0, 0};
  return ::poll(&one, 1, 0) > 0 && (one.revents & POLLHUP) != 0;
}

int send_record(int inner, const Record& record, std::span<const int> fds) {
  assert(!fds.empty());
  // 16 bytes with descriptors go as one or not at all.
  return base::send_with_fds(inner, {reinterpret_cast<const char*>(&record), sizeof record}, fds,
                             MSG_DONTWAIT);
}

std::vector<FoundRecord> look_into(int outer) {
  // Where looking goes on is kept by the socket (socket(7)), so by a former process as well.
  const int start = 0;
  ::setsockopt(outer, SOL_SOCKET, SO_PEEK_OFF, &start, sizeof start);
  std::vector<FoundRecord> all;
  while (true) {
    FoundRecord found;
    iovec data{&found.record, sizeof found.record};
    ControlBuffer control{};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.bytes.data();
    message.msg_controllen = control.bytes.size();
    const ssize_t got = ::recvmsg(outer, &message, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (got < 0 && errno == EINTR) continue;
    for (cmsghdr* each = got > 0 ? CMSG_FIRSTHDR(&message) : nullptr; each != nullptr;
         each = CMSG_NXTHDR(&message, each)) {
      if (each->cmsg_level != SOL_SOCKET || each->cmsg_type != SCM_RIGHTS) continue;
      for (std::size_t at = CMSG_LEN(0); at + sizeof(int) <= each->cmsg_len; at += sizeof(int)) {
        int fd = -1;
        std::memcpy(&fd, reinterpret_cast<const char*>(each) + at, sizeof fd);
        found.fds.emplace_back(fd);
      }
    }
    if (got != sizeof(Record)) return all;
    all.push_back(std::move(found));
  }
}

}  // namespace sc::handoff
