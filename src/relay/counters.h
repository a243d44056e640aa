#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace sc::relay {

// What one stream has carried. Written by the workers, read by anyone; relaxed, as each number
// stands for itself.
struct StreamCounters {
  std::atomic<std::uint64_t> sessions_total{0};
  std::atomic<std::uint64_t> sessions_active{0};
  std::atomic<std::uint64_t> bytes_in{0};    // from clients, taken by backends
  std::atomic<std::uint64_t> bytes_out{0};   // from backends, taken by clients
  std::atomic<bool> backend_trouble{false};  // as the control thread was told: it is not reached
  // See Admission.
  std::atomic<std::size_t> max_sessions{0};  // 0: as many as the service is set for each stream
  std::atomic<std::size_t> sessions_admitted{0};
  std::atomic<std::uint64_t> refusals{0};  // how often a client had to wait for room
  std::atomic<bool> clients_wait{false};
  // When it was told of trouble last, in the loops' milliseconds.
  std::atomic<std::int64_t> trouble_told_at{std::numeric_limits<std::int64_t>::min()};
};

}  // namespace sc::relay
