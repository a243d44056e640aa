#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/callback.h"
#include "base/clock.h"
#include "base/result.h"

namespace sc::store {

// The answers that the database's threads owe to the control thread. Each call is answered once: by
// the thread, or with an error when its patience is over. Control thread only, except for the
// functions that expect() returns.
class Answers {
 public:
  // Runs the function on the control thread, later, in order. Any thread.
  using Post = std::function<void(base::Callback<void()>)>;
  // Runs the function on the control thread after the delay.
  using Later = std::function<void(std::chrono::milliseconds, base::Callback<void()>)>;

  Answers(Post post, std::chrono::milliseconds patience)
      : post_(std::move(post)), patience_(patience) {}
  Answers(const Answers&) = delete;
  Answers& operator=(const Answers&) = delete;
  // No call is answered any more, not even where the answer was posted: those are destroyed.
  ~Answers() { *alive_ = false; }

  std::chrono::milliseconds patience() const { return patience_; }

  // Without it, a call waits for its thread without a limit.
  void set_later(Later later) { later_ = std::move(later); }

  // Registers a call. Returns the function that answers it, for the thread. At the end of the
  // patience `withdraw` decides. An error: it is the call's answer. nullopt: only the thread knows
  // the outcome, and the call goes on waiting.
  template <class R>
  base::Callback<void(R)> expect(base::Callback<void(R)> on_done,
                                 base::Callback<std::optional<base::Error>()> withdraw) {
    const std::uint64_t id = next_id_++;
    auto held = std::make_shared<base::Callback<void(R)>>(std::move(on_done));
    // Moved to the stack, so that a thread that still holds it destroys nothing of the caller's.
    const auto call = [held](R answer) {
      auto done = std::move(*held);
      done(std::move(answer));
    };
    waiting_.emplace(id, Waiting{std::chrono::steady_clock::now(), std::move(withdraw),
                                 [call](base::Error error) { call(R(std::move(error))); }});
    look_later();
    return [this, id, call, alive = alive_, post = post_](R answer) {
      post([this, id, call, alive, answer = std::move(answer)]() mutable {
        if (*alive && waiting_.erase(id) > 0) call(std::move(answer));
      });
    };
  }
  // Posts a function that is dropped once this is destroyed. Any thread.
  void post(base::Callback<void()> function);

  // How many calls wait, and since when the oldest one does.
  std::size_t waiting() const { return waiting_.size(); }
  std::optional<base::Instant> oldest() const;

  // Ends the calls whose patience is over.
  void look(base::Instant now);

 private:
  struct Waiting {
    base::Instant asked_at;
    base::Callback<std::optional<base::Error>()> withdraw;  // empty once it has returned nullopt
    base::Callback<void(base::Error)> fail;
  };

  void look_later();

  const Post post_;
  const std::chrono::milliseconds patience_;
  Later later_;
  bool is_looking_ = false;
  std::uint64_t next_id_ = 1;
  std::map<std::uint64_t, Waiting> waiting_;  // by age
  // Read by posted functions, changed by the destructor, both on the control thread.
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace sc::store
