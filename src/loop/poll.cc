#include "loop/poll.h"

#include <cerrno>
#include <utility>

#include "base/result.h"

namespace sc::loop {
namespace {

// The kernel adds EPOLLERR and EPOLLHUP to every mask. Level-triggered they would come again and
// again to a poll that asked for nothing; an edge comes once.
constexpr std::uint32_t kNothing = EPOLLET;
// The same, and told; RDHUP, which that socket's end has told before, makes it another mask.
constexpr std::uint32_t kBroken = EPOLLET | EPOLLRDHUP;

}  // namespace

PollError::PollError(int error)
    : std::runtime_error(base::describe_errno("epoll_ctl", error)), number(error) {}

Poll::Poll(Loop& loop, int fd, OnReady on_ready)
    : loop_(loop), fd_(fd), mask_(kNothing), on_ready_(std::move(on_ready)) {}

Poll::~Poll() {
  let_go_of_running();
  if (!is_registered_) return;
  // Not left to close(2): a copy of the descriptor, in another process even, keeps the registration
  // alive (epoll(7)).
  ::epoll_ctl(loop_.epoll_.get(), EPOLL_CTL_DEL, fd_, nullptr);
  leave_loop();
}

void Poll::abandon() {
  if (is_registered_) leave_loop();
}

void Poll::leave_loop() {
  is_registered_ = false;
  --loop_.polls_;
  loop_.forget(*this);
}

void Poll::watch(bool read, bool write) {
  const std::uint32_t mask = (read ? EPOLLIN | EPOLLRDHUP : 0U) | (write ? EPOLLOUT : 0U);
  set_mask(mask == 0 ? kNothing : mask);
}

void Poll::watch_broken() { set_mask(kBroken); }

void Poll::set_on_ready(OnReady on_ready) {
  let_go_of_running();
  on_ready_ = std::move(on_ready);
}

void Poll::let_go_of_running() {
  if (replaced_ != nullptr) *replaced_ = true;
  replaced_ = nullptr;
}

void Poll::set_mask(std::uint32_t mask) {
  if (mask == mask_) return;
  epoll_event event{};
  event.events = mask;
  event.data.ptr = this;
  const int operation = is_registered_ ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
  if (::epoll_ctl(loop_.epoll_.get(), operation, fd_, &event) != 0) throw PollError(errno);
  mask_ = mask;
  if (is_registered_) return;
  is_registered_ = true;
  ++loop_.polls_;
}

void Poll::deliver(std::uint32_t events) {
  Ready ready;
  ready.broken = (events & (EPOLLERR | EPOLLHUP)) != 0;
  // An event of this turn may be older than the mask.
  const std::uint32_t wanted = events & mask_;
  const bool failed = (events & EPOLLERR) != 0 && mask_ != kNothing;
  ready.read = failed || (wanted & EPOLLIN) != 0;
  ready.ended = ready.read && (wanted & EPOLLRDHUP) != 0;
  ready.write = failed || (wanted & EPOLLOUT) != 0;
  if (!ready.read && !ready.write && !(ready.broken && mask_ == kBroken)) return;
  if (!on_ready_) return set_mask(kNothing);  // between two who watch
  bool replaced = false;
  replaced_ = &replaced;
  auto function = std::move(on_ready_);  // on the stack, as it may destroy this
  function(ready);
  if (replaced) return;
  on_ready_ = std::move(function);
  replaced_ = nullptr;
}

}  // namespace sc::loop
