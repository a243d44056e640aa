#include "net/resolver/name.h"

#include <array>
#include <utility>

namespace sc::net {

std::string_view to_string(NameSource source) {
  static constexpr std::array<std::string_view, 4> kNames{"dns", "hosts", "system", "loopback"};
  return kNames.at(static_cast<std::size_t>(source));
}

std::shared_ptr<const NameAnswer> Name::answer() const {
  const std::lock_guard lock(mutex_);
  return answer_;
}

std::optional<Name::Failure> Name::last_failure() const {
  const std::lock_guard lock(mutex_);
  return last_failure_;
}

void Name::publish(std::shared_ptr<const NameAnswer> answer) {
  const std::lock_guard lock(mutex_);
  answer_.swap(answer);  // the previous answer is freed after the lock is released
}

void Name::note_failure(Failure failure) {
  const std::lock_guard lock(mutex_);
  last_failure_ = std::move(failure);
}

}  // namespace sc::net
