#include "store/answers.h"

#include <vector>

namespace sc::store {
namespace {

// How often the waiting calls are looked at, so how late an error may come.
constexpr std::chrono::milliseconds kLook{200};

}  // namespace

void Answers::post(base::Callback<void()> function) {
  post_([alive = alive_, function = std::move(function)]() mutable {
    if (*alive) function();
  });
}

std::optional<base::Instant> Answers::oldest() const {
  if (waiting_.empty()) return std::nullopt;
  return waiting_.begin()->second.asked_at;
}

void Answers::look_later() {
  if (is_looking_ || !later_) return;
  is_looking_ = true;
  later_(kLook, [this, alive = alive_] {
    if (!*alive) return;
    is_looking_ = false;
    look(std::chrono::steady_clock::now());
    if (*alive && !waiting_.empty()) look_later();
  });
}

void Answers::look(base::Instant now) {
  std::vector<std::pair<base::Callback<void(base::Error)>, base::Error>> failed;
  for (auto each = waiting_.begin(); each != waiting_.end();) {
    Waiting& waiting = each->second;
    if (now - waiting.asked_at < patience_) break;
    auto error = waiting.withdraw ? waiting.withdraw() : std::nullopt;
    waiting.withdraw = {};
    if (!error) {
      ++each;
      continue;
    }
    failed.emplace_back(std::move(waiting.fail), std::move(*error));
    each = waiting_.erase(each);
  }
  for (auto& [fail, error] : failed) {
    const auto alive = alive_;
    fail(std::move(error));  // may destroy this
    if (!*alive) return;
  }
}

}  // namespace sc::store
