#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>

#include "core/end_reason.h"
#include "core/session.h"

namespace sc::relay {

struct FailureBudget;
struct StreamFailures;

// What one stream has carried. Written by the workers, read by anyone; relaxed, as each number
// stands for itself. There are thousands, nearly all of them of streams that never failed.
struct StreamCounters {
  StreamCounters() = default;
  StreamCounters(const StreamCounters&) = delete;
  StreamCounters& operator=(const StreamCounters&) = delete;
  ~StreamCounters();

  // Made when they are first asked for; the budget is that of all streams together.
  StreamFailures& failures(const std::shared_ptr<FailureBudget>& budget);
  // Sets `reach`; whether the control thread has to learn of it. That is so for changes only, and
  // for trouble once a second at most, as each note is a line of the log and a row: a backend that
  // comes and goes with every session must not keep the disk busy. `now`: in the loops' time.
  bool note_reach(core::Reach now_reached, std::chrono::milliseconds now);
  // Null until then.
  const StreamFailures* failures() const { return failures_.load(std::memory_order_acquire); }
  // Sessions, by reason.
  std::array<std::uint64_t, core::kEndReasons> ended() const;

  std::atomic<std::uint64_t> sessions_total{0};
  std::atomic<std::uint64_t> sessions_active{0};
  std::atomic<std::uint64_t> sessions_finished{0};  // ended so; others are in the failures
  std::atomic<std::uint64_t> sessions_empty{0};     // ended so
  std::atomic<std::uint64_t> bytes_in{0};           // from clients, taken by backends
  std::atomic<std::uint64_t> bytes_out{0};          // from backends, taken by clients
  // Of these, what sessions of a former process had brought along. The control thread alone.
  std::uint64_t sessions_inherited = 0;
  std::uint64_t bytes_in_inherited = 0;
  std::uint64_t bytes_out_inherited = 0;
  // The worker that accepts its clients. Changed by the control thread.
  std::atomic<std::size_t> home{0};
  // See Admission.
  std::atomic<std::size_t> max_sessions{0};  // 0: as many as the service is set for each stream
  std::atomic<std::size_t> sessions_admitted{0};
  std::atomic<std::uint64_t> refusals{0};  // how often a client had to wait for room
  std::atomic<bool> clients_wait{false};
  std::atomic<core::Reach> reach{core::Reach::reached};  // as the control thread was told
  // When it was told of trouble last, in the loops' milliseconds.
  std::atomic<std::int64_t> trouble_told_at{std::numeric_limits<std::int64_t>::min()};
  // The stream is removed, and its sessions have to end by then, in the loops' milliseconds.
  static constexpr std::int64_t kNotRemoved = std::numeric_limits<std::int64_t>::max();
  std::atomic<std::int64_t> drained_at{kNotRemoved};

 private:
  std::atomic<StreamFailures*> failures_{nullptr};  // owned
};

}  // namespace sc::relay
