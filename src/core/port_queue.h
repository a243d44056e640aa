#pragma once

#include <cstdint>
#include <deque>
#include <map>

#include "base/callback.h"

namespace sc::core {

// One use case at a time for each port, in the order in which they came: so a create, a remove and
// a retry of one stream never cross, while those of different streams run side by side.
class PortQueue {
 public:
  // Runs `work` at once when nobody is at the port, else when the ones before have left.
  void enter(std::uint16_t port, base::Callback<void()> work);
  // Ends the turn of whoever is at the port; the next one runs from inside.
  void leave(std::uint16_t port);

  bool is_busy(std::uint16_t port) const { return waiting_.contains(port); }

 private:
  std::map<std::uint16_t, std::deque<base::Callback<void()>>> waiting_;  // a key for each busy port
};

}  // namespace sc::core
