#include "relay/session_feed.h"

#include <iterator>
#include <utility>

namespace sc::relay {

void SessionFeed::watch(Watch what) {
  const std::lock_guard lock(mutex_);
  what_.store(what, std::memory_order_relaxed);
  if (what != Watch::nothing) return;
  notes_ = {};
  missed_ = 0;
}

void SessionFeed::add(core::SessionNote note) {
  const std::lock_guard lock(mutex_);
  if (!wants_failures()) return;  // nobody does any more
  if (notes_.size() == kMost) {
    notes_.pop_front();
    ++missed_;
  }
  notes_.push_back(std::move(note));
}

core::SessionNews SessionFeed::take() {
  std::deque<core::SessionNote> taken;
  core::SessionNews news;
  {
    const std::lock_guard lock(mutex_);
    taken.swap(notes_);
    news.missed = std::exchange(missed_, 0);
  }
  news.notes.assign(std::make_move_iterator(taken.begin()), std::make_move_iterator(taken.end()));
  return news;
}

}  // namespace sc::relay
