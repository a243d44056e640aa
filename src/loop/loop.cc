#include "loop/loop.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstdint>
#include <stdexcept>
#include <string>

#include "base/direct_call.h"
#include "base/result.h"
#include "loop/due_timers.h"
#include "loop/handle.h"
#include "loop/poll.h"
#include "loop/spare_timers.h"
#include "loop/wakeup_watcher.h"

namespace sc::loop {
namespace {

// Taken from the kernel in one call. More that are ready wait for the next one.
constexpr std::size_t kEventsPerTurn = 256;

}  // namespace

void check(int status, const char* what) {
  if (status < 0) throw std::runtime_error(std::string(what) + ": " + uv_strerror(status));
}

Loop::Loop()
    : loop_(std::make_unique<uv_loop_t>()),
      due_timers_(std::make_unique<DueTimers>()),
      spare_timers_(std::make_unique<SpareTimers>()),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      events_(kEventsPerTurn) {
  if (!epoll_) throw std::runtime_error(base::describe_errno("epoll_create1", errno));
  check(uv_loop_init(loop_.get()), "uv_loop_init");
  loop_->data = this;  // for timers
  now_ = std::chrono::milliseconds(uv_now(loop_.get()));
  epoll_event libuv{};
  libuv.events = EPOLLIN;  // its pointer stays null
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, uv_backend_fd(loop_.get()), &libuv) != 0) {
    const int error = errno;
    uv_loop_close(loop_.get());
    throw std::runtime_error(base::describe_errno("epoll_ctl", error));
  }
}

Loop::~Loop() {
  assert(polls_ == 0 && "a poll outlives its loop");
  assert(wakeups_.empty() && "a wakeup outlives its loop");
  spare_timers_.reset();
  // Asked first, as an active handle would keep the turns below going for good.
  const auto check_closing = [](uv_handle_t* handle, void*) {
    assert(uv_is_closing(handle) && "a handle outlives its loop");
    static_cast<void>(handle);
  };
  uv_walk(loop_.get(), check_closing, nullptr);
  uv_run(loop_.get(), UV_RUN_DEFAULT);
  [[maybe_unused]] const int status = uv_loop_close(loop_.get());
  assert(status == 0);
}

void Loop::run() {
  while (!stopped_ && is_alive()) run_once(true);
  stopped_ = false;
}

void Loop::run_once(bool wait) {
  // Due timers and closing handles make libuv ask for no waiting at all.
  uv_update_time(loop_.get());
  int timeout = 0;
  if (wait && !stopped_ && is_alive())
    timeout = uv_loop_alive(loop_.get()) != 0 ? uv_backend_timeout(loop_.get()) : -1;
  const std::size_t ready = take_events(timeout);
  uv_update_time(loop_.get());
  now_ = std::chrono::milliseconds(uv_now(loop_.get()));
  const OwnReady own = ready > 0 ? dispatch(ready) : OwnReady{};
  if (own.bell) answer_bell();
  // A timer may have become due meanwhile, or a handle have been closed.
  const bool is_due = uv_loop_alive(loop_.get()) != 0 && uv_backend_timeout(loop_.get()) == 0;
  if (own.libuv || is_due) uv_run(loop_.get(), UV_RUN_NOWAIT);
  if (!due_timers_->is_empty()) call_due_timers();
}

// An interrupted wait (EINTR: the process was paused, see signal(7)) has no events.
std::size_t Loop::take_events(int timeout) {
  const int ready = base::direct::epoll_wait(epoll_.get(), events_.data(),
                                             static_cast<int>(events_.size()), timeout);
  return ready > 0 ? static_cast<std::size_t>(ready) : 0;
}

// The time stands still from before the look until the last timer has been called: a pause in
// between adds no silence. The kernel reports ready descriptors in turn, so this many batches show
// each of them, whatever else becomes ready meanwhile.
void Loop::call_due_timers() {
  now_ = std::chrono::milliseconds(uv_now(loop_.get()));
  std::size_t batches = polls_ / events_.size() + 1;
  while (batches-- > 0) {
    const std::size_t ready = take_events(0);
    if (ready > 0) dispatch(ready);
    if (ready < events_.size()) break;
  }
  due_timers_->call_all();
}

bool Loop::is_alive() const {
  return polls_ > 0 || !wakeups_.empty() || uv_loop_alive(loop_.get()) != 0;
}

void Loop::add(std::shared_ptr<WakeupWatcher> wakeup) {
  if (!bell_) {
    base::Fd bell(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!bell) throw std::runtime_error(base::describe_errno("eventfd", errno));
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.ptr = &bell_;
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, bell.get(), &event) != 0)
      throw std::runtime_error(base::describe_errno("epoll_ctl", errno));
    bell_ = std::move(bell);
  }
  wakeups_.push_back(std::move(wakeup));
}

void Loop::remove(const WakeupWatcher* wakeup) {
  const auto found = std::find_if(wakeups_.begin(), wakeups_.end(),
                                  [&](const auto& each) { return each.get() == wakeup; });
  if (calls_wakeups_) {
    found->reset();
  } else {
    wakeups_.erase(found);
  }
}

// One write for all that wake the loop until it has answered.
void Loop::ring() {
  if (is_rung_.exchange(true)) return;
  const std::uint64_t one = 1;
  while (::write(bell_.get(), &one, sizeof one) < 0 && errno == EINTR) continue;
}

// A wake() that comes after the exchange rings again; one that came before it has set its flag.
void Loop::answer_bell() {
  std::uint64_t count = 0;
  while (::read(bell_.get(), &count, sizeof count) < 0 && errno == EINTR) continue;
  is_rung_.exchange(false);
  calls_wakeups_ = true;
  for (std::size_t i = 0; i < wakeups_.size(); ++i) {
    const auto wakeup = wakeups_[i];  // on the stack, as the function may destroy its owner
    if (wakeup != nullptr && wakeup->is_woken.exchange(false)) wakeup->on_wake();
  }
  calls_wakeups_ = false;
  std::erase(wakeups_, nullptr);
}

Loop::OwnReady Loop::dispatch(std::size_t count) {
  count_ = count;
  next_ = 0;
  if (first_) first_();
  OwnReady own;
  while (next_ < count_) {
    const epoll_event event = events_[next_++];
    if (event.data.ptr == nullptr) {
      own.libuv = true;
    } else if (event.data.ptr == &bell_) {
      own.bell = true;
    } else {
      static_cast<Poll*>(event.data.ptr)->deliver(event.events);
    }
  }
  count_ = next_ = 0;
  return own;
}

void Loop::forget(const Poll& poll) {
  for (std::size_t i = next_; i < count_;) {
    if (events_[i].data.ptr == &poll) {
      events_[i] = events_[--count_];
    } else {
      ++i;
    }
  }
}

}  // namespace sc::loop
