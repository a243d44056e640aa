#include "core/waits.h"

#include <string>
#include <vector>

namespace sc::core {
namespace {

std::string patience() {
  return std::to_string(
             std::chrono::duration_cast<std::chrono::seconds>(Waits::kPatience).count()) +
         " s";
}

base::Error not_begun() {
  return {base::Errc::unavailable,
          "nothing was changed: the change waited " + patience() +
              " for an earlier one of the same port, which waits for the database"};
}

base::Error not_known() {
  return {base::Errc::unavailable,
          "the database has not answered for " + patience() +
              ": it is not known yet whether the change is written. It takes effect if it is, so "
              "look at the stream before you send it again"};
}

}  // namespace

bool Waits::Wait::begin() {
  if (is_over_) return false;
  has_begun_ = true;
  return true;
}

base::Result<void> Waits::admit() const {
  if (waiting_.size() < kMostWhileStalled) return {};
  if (clock_.steady() - waiting_.front()->asked_at_ < kStalled) return {};
  return base::Error{base::Errc::unavailable,
                     "nothing was changed: " + std::to_string(waiting_.size()) +
                         " changes wait for the database already"};
}

void Waits::end_overdue() {
  const base::Instant now = clock_.steady();
  std::vector<std::shared_ptr<Wait>> over;
  while (!waiting_.empty() && now - waiting_.front()->asked_at_ >= kPatience) {
    over.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
    over.back()->is_over_ = true;
  }
  for (const auto& wait : over) {
    auto fail = std::move(wait->fail_);
    fail(wait->has_begun_ ? not_known() : not_begun());
  }
}

}  // namespace sc::core
