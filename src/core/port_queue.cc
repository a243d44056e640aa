#include "core/port_queue.h"

#include <cassert>
#include <utility>

namespace sc::core {

void PortQueue::enter(std::uint16_t port, base::Callback<void()> work) {
  const auto [place, is_free] = waiting_.try_emplace(port);
  if (is_free) {
    work();
  } else {
    place->second.push_back(std::move(work));
  }
}

void PortQueue::leave(std::uint16_t port) {
  const auto place = waiting_.find(port);
  assert(place != waiting_.end());
  if (place->second.empty()) {
    waiting_.erase(place);
    return;
  }
  auto next = std::move(place->second.front());
  place->second.pop_front();
  next();
}

}  // namespace sc::core
