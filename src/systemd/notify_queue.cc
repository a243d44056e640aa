#include "systemd/notify_queue.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <string_view>
#include <thread>
#include <utility>

#include "base/log.h"
#include "base/result.h"
#include "base/send_fds.h"

namespace sc::systemd {

bool NotifyQueue::is_set() { return std::getenv("NOTIFY_SOCKET") != nullptr; }

NotifyQueue::NotifyQueue(const base::Clock& clock) : clock_(clock) {
  const char* named = std::getenv("NOTIFY_SOCKET");
  const std::string_view name = named != nullptr ? named : "";
  const bool is_abstract = name.starts_with('@');
  if (!(is_abstract || name.starts_with('/')) || name.size() >= sizeof manager_.sun_path) return;
  manager_.sun_family = AF_UNIX;
  name.copy(manager_.sun_path, name.size());
  size_ = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
  if (is_abstract) {
    manager_.sun_path[0] = '\0';  // unix(7): what follows is the name, to its last byte
  } else {
    ++size_;  // the NUL behind a path
  }
  socket_ = base::Fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
}

void NotifyQueue::say(State kind, std::string text) {
  if (!socket_) return;
  const std::lock_guard lock(mutex_);
  std::erase_if(states_, [kind](const auto& each) { return each.first == kind; });
  states_.emplace_back(kind, std::move(text));
  if (!send_all()) on_waiting();
}

bool NotifyQueue::try_store(const std::string& text, int fd) {
  if (!socket_ || is_busy()) return false;
  const std::lock_guard lock(mutex_);
  return send_all() && send(text, fd) == Sent::yes;
}

bool NotifyQueue::store(std::string text, base::Fd fd) {
  if (!socket_) return false;
  const std::lock_guard lock(mutex_);
  if (send_all()) {
    const Sent sent = send(text, fd.get());
    if (sent != Sent::full) return sent == Sent::yes;
  }
  changes_.push_back({std::move(text), std::move(fd)});
  on_waiting();
  return true;
}

void NotifyQueue::remove(std::string text) {
  if (!socket_) return;
  const std::lock_guard lock(mutex_);
  changes_.push_back({std::move(text), {}});
  if (!send_all()) on_waiting();
}

bool NotifyQueue::is_busy() const {
  const std::int64_t until = retry_at_.load(std::memory_order_relaxed);
  return until != 0 && clock_.steady().time_since_epoch().count() < until;
}

std::optional<base::Instant> NotifyQueue::busy_since() const {
  const std::lock_guard lock(mutex_);
  return busy_since_;
}

std::size_t NotifyQueue::waiting() const {
  const std::lock_guard lock(mutex_);
  return states_.size() + changes_.size();
}

std::optional<std::chrono::milliseconds> NotifyQueue::flush() {
  const std::lock_guard lock(mutex_);
  if (send_all()) return std::nullopt;
  return back_off_;
}

void NotifyQueue::finish(std::chrono::milliseconds patience) {
  for (; flush() && patience.count() > 0; patience -= kFirstBackOff)
    std::this_thread::sleep_for(kFirstBackOff);
  if (const std::size_t left = waiting(); left > 0)
    base::log::error(
        "the service manager does not read its messages, the process ends without them",
        {{"messages", std::to_string(left)},
         {"effect", "the manager keeps descriptors that the next start looks through and drops"}});
}

void NotifyQueue::set_on_waiting(std::function<void()> on_waiting) {
  const std::lock_guard lock(mutex_);
  on_waiting_ = std::move(on_waiting);
  if (!states_.empty() || !changes_.empty()) this->on_waiting();
}

void NotifyQueue::on_waiting() {
  if (on_waiting_) on_waiting_();
}

// False: something still waits.
bool NotifyQueue::send_all() {
  for (; !states_.empty(); states_.pop_front())
    if (send(states_.front().second, -1) != Sent::yes) return false;
  for (; !changes_.empty(); changes_.pop_front())
    if (send(changes_.front().text, changes_.front().fd.get()) != Sent::yes) return false;
  return true;
}

NotifyQueue::Sent NotifyQueue::send(const std::string& text, int fd) {
  const bool has_fd = fd >= 0;
  const int error =
      base::send_with_fds(socket_.get(), text, {&fd, has_fd ? std::size_t{1} : std::size_t{0}},
                          MSG_DONTWAIT, reinterpret_cast<const sockaddr*>(&manager_), size_);
  if (error != 0) return note_failure(error);
  if (!busy_since_) return Sent::yes;
  if (is_failing_)
    base::log::info(
        "the service manager takes messages again",
        {{"seconds",
          std::to_string(
              std::chrono::floor<std::chrono::seconds>(clock_.steady() - *busy_since_).count())}});
  back_off_ = kFirstBackOff;
  busy_since_.reset();
  is_failing_ = false;
  retry_at_.store(0, std::memory_order_relaxed);
  return Sent::yes;
}

NotifyQueue::Sent NotifyQueue::note_failure(int error) {
  const base::Instant now = clock_.steady();
  if (!busy_since_) busy_since_ = now;
  const bool is_full = error == EAGAIN || error == ENOBUFS;
  // A moment in which the socket is full needs no line.
  if (!is_failing_ && (!is_full || back_off_ == kLastBackOff)) {
    is_failing_ = true;
    base::log::warning(
        "the service manager takes no messages",
        {{"reason", is_full ? "it does not read them" : base::describe_errno("sendmsg", error)}});
  }
  retry_at_.store((now + back_off_).time_since_epoch().count(), std::memory_order_relaxed);
  back_off_ = std::min(back_off_ * 2, kLastBackOff);
  return is_full ? Sent::full : Sent::failed;
}

}  // namespace sc::systemd
