#include "relay/pipe_pool.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

#include "base/kill_point.h"
#include "base/pipe.h"
#include "relay/admission.h"

namespace sc::relay {

PipeCount::~PipeCount() {
  if (pool_ != nullptr) pool_->on_closed();
}

std::optional<Pipe> PipePool::make_pipe() {
  const bool counts = admission_ != nullptr && alive_ >= kKept;
  if (counts && !admission_->take_pipe()) return std::nullopt;
  base::Fd fd = base::open_pipe();
  if (!fd) {
    if (counts) admission_->give_pipe();
    return std::nullopt;
  }
  ++alive_;
  Pipe pipe{std::move(fd), 0, PipeCount(*this)};
  pipe.capacity = base::pipe_capacity(pipe.fd.get());
  if (keeper_ != nullptr) pipe.record = handoff::PipeRecord::make(*keeper_, pipe.fd.get());
  return pipe;
}

Pipe PipePool::adopt(handoff::KeptPipe kept) {
  if (admission_ != nullptr && alive_ >= kKept) admission_->add_pipe();
  ++alive_;
  Pipe pipe{std::move(kept.fd), 0, PipeCount(*this), std::move(kept.record)};
  pipe.capacity = base::pipe_capacity(pipe.fd.get());
  return pipe;
}

// A kept one has a copy, so it would not go by being closed. When the next process is to find
// everything as it is, its bytes stay.
void PipePool::discard(Pipe pipe) {
  if (!pipe.record || keeper_ == nullptr || keeper_->is_leaving()) return;
  std::array<std::byte, kSpareCapacity> nowhere;
  while (::read(pipe.fd.get(), nowhere.data(), nowhere.size()) > 0) {
  }
  SC_KILL_POINT("emptied");
  give_back(std::move(pipe));
}

void PipePool::on_closed() {
  if (--alive_ >= kKept && admission_ != nullptr) admission_->give_pipe();
}

void PipePool::trim() {
  if (!std::exchange(used_, false)) at_rest_.clear();
}

std::optional<Pipe> PipePool::take() {
  used_ = true;
  if (at_rest_.empty()) return make_pipe();
  Pipe pipe = std::move(at_rest_.back());
  at_rest_.pop_back();
  return pipe;
}

// Nearly always the first one that is looked at.
std::optional<Pipe> PipePool::take_kept() {
  used_ = true;
  for (auto each = at_rest_.end(); each != at_rest_.begin();) {
    --each;
    if (!each->is_kept()) continue;
    Pipe pipe = std::move(*each);
    at_rest_.erase(each);
    return pipe;
  }
  auto fresh = make_pipe();
  return fresh && fresh->is_kept() ? std::move(fresh) : std::nullopt;
}

bool PipePool::has_spare() {
  used_ = true;
  if (!at_rest_.empty() && at_rest_.back().capacity >= kSpareCapacity) return true;
  if (spare_calls_to_skip_ > 0) {
    --spare_calls_to_skip_;
    return false;
  }
  auto fresh = make_pipe();
  if (!fresh || fresh->capacity < kSpareCapacity) {
    spare_calls_to_skip_ = kRefusedCalls;
    return false;
  }
  give_back(std::move(*fresh));
  return true;
}

void PipePool::give_back(Pipe pipe) {
  pipe.claim(0);
  if (pipe.record && !pipe.record->is_held())
    return;  // its capsule was refused: no use to a kept one
  if (at_rest_.size() >= kKept) {
    if (pipe.capacity <= at_rest_.front().capacity) return;
    at_rest_.erase(at_rest_.begin());
  }
  const auto place =
      std::upper_bound(at_rest_.begin(), at_rest_.end(), pipe,
                       [](const Pipe& a, const Pipe& b) { return a.capacity < b.capacity; });
  at_rest_.insert(place, std::move(pipe));
}

void PipePool::grow(Pipe& pipe) {
  if (pipe.capacity >= kGrownCapacity) return;
  if (grow_calls_to_skip_ > 0) {
    --grow_calls_to_skip_;
    return;
  }
  const int granted = ::fcntl(pipe.fd.get(), F_SETPIPE_SZ, static_cast<int>(kGrownCapacity));
  if (granted > 0) {
    pipe.capacity = static_cast<std::size_t>(granted);
  } else {
    grow_calls_to_skip_ = kRefusedCalls;  // EPERM: above pipe-max-size or the user's pages
  }
}

}  // namespace sc::relay
