#pragma once

#include <chrono>
#include <cstddef>
#include <list>
#include <memory>
#include <utility>

#include "base/callback.h"
#include "base/clock.h"
#include "base/result.h"

namespace sc::core {

// The callers that wait for the outcome of a change. Each gets one answer: the outcome, or after
// kPatience an error. A change that has not begun by then never begins. A change that has begun
// goes on, because only the database knows whether it is written. The error says so, and the stream
// later becomes what the database has. Control thread only.
class Waits {
 public:
  // Longer than the store waits for its database, so that the store's reason comes first.
  static constexpr std::chrono::milliseconds kPatience{6000};
  // While the oldest change has waited for kStalled, at most this many changes wait; more are
  // refused at once. So a database that hangs leaves places of the API free.
  static constexpr std::chrono::milliseconds kStalled{1000};
  static constexpr std::size_t kMostWhileStalled = 256;

  class Wait {
   public:
    // The change begins now. Returns false if its caller has already got the error; then it must
    // not.
    bool begin();

   private:
    friend class Waits;
    base::Instant asked_at_{};
    bool has_begun_ = false;
    bool is_over_ = false;
    base::Callback<void(base::Error)> fail_;
  };

  explicit Waits(const base::Clock& clock) : clock_(clock) {}
  Waits(const Waits&) = delete;
  Waits& operator=(const Waits&) = delete;

  // Called when there was no caller that waits, and there is one now.
  void set_on_first(base::Callback<void()> on_first) { on_first_ = std::move(on_first); }

  // unavailable: no further change is taken now.
  base::Result<void> admit() const;

  // Adds a caller. The returned function takes the place of `on_done` and may be called later than
  // the patience allows.
  template <class T>
  std::pair<std::shared_ptr<Wait>, base::Callback<void(base::Result<T>)>> add(
      base::Callback<void(base::Result<T>)> on_done) {
    auto wait = std::make_shared<Wait>();
    auto done = std::make_shared<base::Callback<void(base::Result<T>)>>(std::move(on_done));
    wait->asked_at_ = clock_.steady();
    wait->fail_ = [done](base::Error error) { (*done)(std::move(error)); };
    const auto place = waiting_.insert(waiting_.end(), wait);
    if (waiting_.size() == 1 && on_first_) on_first_();
    // By reference, as GCC 12 warns of a value that is moved on (-Wmaybe-uninitialized).
    return {wait, [this, wait, done, place](base::Result<T>&& outcome) {
              if (wait->is_over_) return;
              wait->is_over_ = true;
              wait->fail_ = {};
              waiting_.erase(place);
              (*done)(std::move(outcome));  // may destroy this
            }};
  }

  std::size_t count() const { return waiting_.size(); }
  // Answers those whose patience is over.
  void end_overdue();

 private:
  const base::Clock& clock_;
  base::Callback<void()> on_first_;
  std::list<std::shared_ptr<Wait>> waiting_;  // by age
};

}  // namespace sc::core
