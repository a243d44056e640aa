#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/callback.h"
#include "base/clock.h"
#include "base/pulse.h"

namespace sc::store {

// A thread that runs jobs one at a time, in the order of ask(). It runs steps of background work
// while no job waits. A step that has been due for a second runs between two jobs.
class JobThread {
 public:
  using Job = base::Callback<void()>;
  // Returns the time until the next call. 0: call it again as soon as no job waits.
  using Step = base::Callback<std::chrono::milliseconds()>;
  using StepId = std::size_t;

  // Throws std::system_error if the host refuses the thread.
  explicit JobThread(std::string name);
  JobThread(const JobThread&) = delete;
  JobThread& operator=(const JobThread&) = delete;
  // Runs the jobs that wait, then joins the thread.
  ~JobThread();

  void ask(Job job);  // any thread

  // The first call follows after `delay`. Any thread.
  StepId add_step(Step step, std::chrono::milliseconds delay);
  // Moves the next call of a step. On the thread itself.
  void set_due(StepId step, std::chrono::milliseconds delay);

  // The time at which the oldest unfinished job was asked for, or at which a step began that runs
  // now. nullopt: the thread is idle. Any thread.
  std::optional<base::Instant> busy_since() const;

  // Wakes the thread to answer a probe; see pulse(). Any thread.
  void probe();
  // Jobs and steps count: one that lasts waits for the disk or for a lock. Any thread.
  const base::Pulse& pulse() const { return pulse_; }
  const std::string& name() const { return name_; }

  // How many jobs wait behind the one that runs now. Any thread.
  std::size_t waiting() const;
  bool has_waiting() const { return waiting() > 0; }

  // Asks the thread to end after the jobs that wait, and waits for that. Jobs should give up at
  // `limit`, see must_end(). Returns false if the thread still runs shortly after: the process must
  // then end without joining it, so without destroying this.
  bool finish(std::chrono::milliseconds limit);
  // Is the time of finish() over? Any thread.
  bool must_end() const;
  // Has finish() been called? Any thread.
  bool is_finishing() const { return finishing_.load(std::memory_order_relaxed); }

 private:
  struct Asked {
    base::Instant at;
    Job job;
  };
  struct Background {
    Step step;
    base::Instant due;
  };

  void serve();
  bool run_step(base::Instant due_by);
  base::Instant next_due() const;

  const std::string name_;
  base::Pulse pulse_;
  std::atomic<bool> finishing_{false};
  std::atomic<base::Instant::rep> ends_at_{0};  // 0: no limit

  mutable std::mutex mutex_;  // guards the members up to thread_
  std::deque<Asked> jobs_;
  std::deque<Background> steps_;          // a deque, as references to its elements stay valid
  std::optional<base::Instant> running_;  // the time at which the present job was asked for
  bool stopping_ = false;
  bool ended_ = false;
  std::condition_variable asked_;
  std::condition_variable end_;

  std::thread thread_;  // last: it uses all of the above
};

}  // namespace sc::store
