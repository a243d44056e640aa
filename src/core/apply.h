#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "base/result.h"
#include "core/event.h"
#include "core/stream.h"

namespace sc::core {

// May this go on? Asked at the port, when the use case has its turn there: null: it has no stream.
using StreamCheck = std::function<base::Result<void>(const Stream* present)>;
// The same of all streams together.
using Check = std::function<base::Result<void>()>;
// May the one who asks change this port?
using PortCheck = std::function<base::Result<void>(std::uint16_t port)>;

enum class ApplyMode : unsigned char {
  merge,    // streams that are not in the list stay as they are
  replace,  // they are removed
};

// Many streams changed together: all or nothing.
struct ApplyRequest {
  std::vector<StreamSpec> streams;  // each port once
  ApplyMode mode = ApplyMode::merge;
  bool dry_run = false;  // tries the ports, changes nothing
  Check check;           // empty: may go on
  PortCheck may_change;  // asked of each port that the list changes; empty: it may
};

struct StreamChange {
  EventAction action = EventAction::created;  // or changed, removed
  std::optional<Stream> before;
  std::optional<Stream> after;
};

struct ApplyReport {
  std::vector<StreamChange> changes;  // by port
  std::size_t unchanged = 0;          // streams of the list that were so already
  std::vector<StreamSpec> skipped;    // of a restore: those that would have expired by now
};

}  // namespace sc::core
