#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>

#include "base/clock.h"

namespace sc::base {

// Shows other threads whether a thread that carries out jobs is alive. The thread marks its jobs
// and answers probes between them. So a job that the host holds up, such as a write to a slow disk,
// differs from a thread that does not go on at all. The owner wakes the thread for a probe.
class Pulse {
 public:
  // A job, for as long as this lives. The thread itself.
  class Job {
   public:
    explicit Job(Pulse& pulse) : pulse_(pulse) {
      pulse_.job_since_.store(std::chrono::steady_clock::now().time_since_epoch().count(),
                              std::memory_order_relaxed);
    }
    Job(const Job&) = delete;
    Job& operator=(const Job&) = delete;
    ~Job() { pulse_.job_since_.store(0, std::memory_order_relaxed); }

   private:
    Pulse& pulse_;
  };

  // Answers all probes so far. The thread itself.
  void beat() { answered_.store(asked_.load()); }

  // Asks for a beat(). Any thread.
  void ask() { asked_.fetch_add(1); }
  // Whether there was a beat() since the last ask(). Any thread.
  bool has_answered() const { return answered_.load() == asked_.load(); }
  // When the job that is being carried out began; nullopt: there is none. Any thread.
  std::optional<Instant> job_since() const {
    const std::int64_t since = job_since_.load(std::memory_order_relaxed);
    if (since == 0) return std::nullopt;
    return Instant(Instant::duration(since));
  }

 private:
  std::atomic<std::uint64_t> asked_{0};
  std::atomic<std::uint64_t> answered_{0};
  std::atomic<std::int64_t> job_since_{0};  // of the steady clock; 0: none
};

}  // namespace sc::base
