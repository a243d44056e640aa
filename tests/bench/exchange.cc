#include "bench/exchange.h"

#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "base/result.h"

namespace sc::bench {

void Exchange::begin(std::uint64_t number) {
  constexpr std::uint64_t kStride = 7919;  // a prime, so that neighbours differ
  position_ = number * kStride;
  sent_ = 0;
  received_ = 0;
}

Exchange::State Exchange::fail(std::string why) {
  fault_ = std::move(why);
  return State::failed;
}

Exchange::State Exchange::step(int socket) {
  if (sent_ < size_) {
    const auto rest = pattern_->view(position_, size_).subspan(sent_);
    const auto count = ::send(socket, rest.data(), rest.size(), MSG_NOSIGNAL);
    if (count < 0 && errno != EAGAIN) return fail(base::describe_errno("a request", errno));
    if (count > 0) sent_ += static_cast<std::size_t>(count);
    return sent_ < size_ ? State::sending : State::receiving;
  }
  const auto room = scratch().first(size_ - received_);
  const auto count = ::recv(socket, room.data(), room.size(), 0);
  if (count == 0) return fail("the session ended before its reply");
  if (count < 0)
    return errno == EAGAIN ? State::receiving : fail(base::describe_errno("a reply", errno));
  const auto got = room.first(static_cast<std::size_t>(count));
  if (const auto wrong = pattern_->find_wrong(position_ + received_, got))
    return fail("wrong byte at " + std::to_string(*wrong - position_) + " of a reply");
  received_ += got.size();
  return received_ < size_ ? State::receiving : State::done;
}

}  // namespace sc::bench
