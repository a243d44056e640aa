#include "store/job_thread.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

#include "base/blocked_signals.h"

namespace sc::store {
namespace {

using std::chrono::milliseconds;
using Steady = std::chrono::steady_clock;

// A job that gives up at the limit of finish() has this long to come back.
constexpr milliseconds kGrace{250};
// While jobs always wait, steps run when they have been due for so long.
constexpr milliseconds kMostDelay{1000};

}  // namespace

JobThread::JobThread(std::string name) : name_(std::move(name)) {
  const base::BlockedSignals blocked;
  thread_ = std::thread([this] { serve(); });
}

JobThread::~JobThread() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  asked_.notify_one();
  thread_.join();
}

void JobThread::ask(Job job) {
  {
    const std::lock_guard lock(mutex_);
    jobs_.push_back({Steady::now(), std::move(job)});
  }
  asked_.notify_one();
}

void JobThread::probe() {
  pulse_.ask();
  ask([this] { pulse_.beat(); });
}

JobThread::StepId JobThread::add_step(Step step, milliseconds delay) {
  const std::lock_guard lock(mutex_);
  steps_.push_back({std::move(step), Steady::now() + delay});
  asked_.notify_one();
  return steps_.size() - 1;
}

void JobThread::set_due(StepId step, milliseconds delay) {
  const std::lock_guard lock(mutex_);
  steps_.at(step).due = Steady::now() + delay;
}

std::optional<base::Instant> JobThread::busy_since() const {
  const std::lock_guard lock(mutex_);
  if (running_) return running_;
  if (!jobs_.empty()) return jobs_.front().at;
  return std::nullopt;
}

std::size_t JobThread::waiting() const {
  const std::lock_guard lock(mutex_);
  return jobs_.size();
}

bool JobThread::finish(milliseconds limit) {
  const base::Instant ends_at = Steady::now() + limit;
  ends_at_.store(ends_at.time_since_epoch().count(), std::memory_order_relaxed);
  finishing_.store(true, std::memory_order_relaxed);
  std::unique_lock lock(mutex_);
  stopping_ = true;
  asked_.notify_one();
  return end_.wait_until(lock, ends_at + kGrace, [this] { return ended_; });
}

bool JobThread::must_end() const {
  const auto ends_at = ends_at_.load(std::memory_order_relaxed);
  return ends_at != 0 && Steady::now().time_since_epoch().count() >= ends_at;
}

void JobThread::serve() {
  ::pthread_setname_np(::pthread_self(), name_.c_str());
  std::unique_lock lock(mutex_);
  while (true) {
    while (!stopping_ && jobs_.empty()) {
      if (run_step(Steady::now())) continue;
      const base::Instant due = next_due();
      if (due == base::Instant::max()) {
        asked_.wait(lock);
      } else {
        asked_.wait_until(lock, due);
      }
    }
    if (jobs_.empty()) break;
    if (!stopping_) run_step(Steady::now() - kMostDelay);
    {
      Asked asked = std::move(jobs_.front());
      jobs_.pop_front();
      running_ = asked.at;
      lock.unlock();
      const base::Pulse::Job marked(pulse_);
      asked.job();
    }  // the job is destroyed before the next one runs
    lock.lock();
    running_.reset();
  }
  ended_ = true;
  end_.notify_all();
}

// Runs the step that has been due for the longest time, if it was due at `due_by`; returns false
// otherwise. Called with mutex_, which is free while the step runs.
bool JobThread::run_step(base::Instant due_by) {
  const auto found =
      std::min_element(steps_.begin(), steps_.end(),
                       [](const Background& a, const Background& b) { return a.due < b.due; });
  if (found == steps_.end() || found->due > due_by) return false;
  Background& step = *found;
  running_ = Steady::now();
  step.due = base::Instant::max();  // set_due() from inside the step wins over its return value
  mutex_.unlock();
  const milliseconds delay = [&] {
    const base::Pulse::Job marked(pulse_);
    return step.step();
  }();
  mutex_.lock();
  running_.reset();
  if (step.due == base::Instant::max()) step.due = Steady::now() + delay;
  return true;
}

base::Instant JobThread::next_due() const {
  base::Instant due = base::Instant::max();
  for (const Background& each : steps_) due = std::min(due, each.due);
  return due;
}

}  // namespace sc::store
