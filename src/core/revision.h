#pragma once

#include <algorithm>
#include <cstdint>

namespace sc::core {

// The most that a stream's revision can be: up to here JSON numbers are exact (RFC 8259 section 6).
// A row that was written by hand may say more.
constexpr std::int64_t kMostRevision = (std::int64_t{1} << 53) - 1;

// The revision after a change; the most stays as it is.
constexpr std::int64_t next_revision(std::int64_t revision) {
  return std::min(revision, kMostRevision - 1) + 1;
}

}  // namespace sc::core
