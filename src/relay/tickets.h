#pragma once

#include <mutex>
#include <optional>
#include <utility>

#include "base/fd.h"

namespace sc::relay {

// A listener on its way to a worker. The worker takes it; where the worker does not answer, the
// control thread takes it back and sends it to another one. Any thread.
class OpeningTicket {
 public:
  explicit OpeningTicket(base::Fd listener) : listener_(std::move(listener)) {}

  // nullopt: it has been taken.
  std::optional<base::Fd> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(listener_, std::nullopt);
  }

 private:
  std::mutex mutex_;
  std::optional<base::Fd> listener_;
};

// The closing of a listener: by its worker or, where the worker does not answer, by the control
// thread. Any thread.
class ClosingTicket {
 public:
  // Calls `close` unless the other side has closed it; returns whether it did. The other side waits
  // meanwhile, so that the worker's descriptor is not closed before `close` has returned.
  template <class Close>
  bool claim(Close close) {
    const std::lock_guard lock(mutex_);
    if (std::exchange(is_claimed_, true)) return false;
    close();
    return true;
  }

 private:
  std::mutex mutex_;
  bool is_claimed_ = false;
};

}  // namespace sc::relay
