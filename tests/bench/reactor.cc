#include "bench/reactor.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <span>
#include <system_error>

namespace sc::bench {

Reactor::Reactor() : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  if (!epoll_) throw std::system_error(errno, std::generic_category(), "epoll_create1");
}

void Reactor::control(int operation, int fd, std::uint32_t events, Handler& handler) {
  epoll_event event{.events = events, .data = {.ptr = &handler}};
  if (::epoll_ctl(epoll_.get(), operation, fd, &event) != 0)
    throw std::system_error(errno, std::generic_category(), "epoll_ctl");
}

void Reactor::add(int fd, std::uint32_t events, Handler& handler) {
  control(EPOLL_CTL_ADD, fd, events, handler);
}

void Reactor::change(int fd, std::uint32_t events, Handler& handler) {
  control(EPOLL_CTL_MOD, fd, events, handler);
}

void Reactor::remove(int fd, const Handler& handler) {
  [[maybe_unused]] const int done = ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
  assert(done == 0);
  for (epoll_event& event : std::span(ready_).first(static_cast<std::size_t>(count_)))
    if (event.data.ptr == &handler) event.data.ptr = nullptr;
}

void Reactor::turn(Clock::time_point until) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
  const int wait = static_cast<int>(std::clamp<std::int64_t>(left, 0, 1000));
  count_ = std::max(0, ::epoll_wait(epoll_.get(), ready_.data(), kBatch, wait));
  for (int at = 0; at < count_; ++at) {
    const epoll_event& event = ready_[static_cast<std::size_t>(at)];
    if (event.data.ptr != nullptr) static_cast<Handler*>(event.data.ptr)->on_ready(event.events);
  }
  count_ = 0;
}

InputEnd::InputEnd(Reactor& reactor) : reactor_(reactor) {
  struct stat kind {};
  if (::fstat(STDIN_FILENO, &kind) != 0 || (!S_ISFIFO(kind.st_mode) && !S_ISSOCK(kind.st_mode)))
    return;
  reactor_.add(STDIN_FILENO, EPOLLIN, *this);
  watched_ = true;
}

InputEnd::~InputEnd() {
  if (watched_) reactor_.remove(STDIN_FILENO, *this);
}

void InputEnd::on_ready(std::uint32_t /*events*/) {
  std::array<char, 64> ignored{};
  if (::read(STDIN_FILENO, ignored.data(), ignored.size()) > 0) return;
  reached_ = true;
  watched_ = false;
  reactor_.remove(STDIN_FILENO, *this);
}

}  // namespace sc::bench
