#include "handoff/start_rate.h"

#include <fcntl.h>

#include <algorithm>

#include "handoff/store_link.h"
#include "handoff/table.h"

namespace sc::handoff {

using std::chrono::milliseconds;

// Each start pays for kEvery, from when the last payment ends; what is paid ahead is limited.
milliseconds note_start(const std::vector<StoredFd>& stored, base::Instant now) {
  const auto file = std::find_if(stored.begin(), stored.end(),
                                 [](const StoredFd& each) { return each.name == kTableName; });
  if (file == stored.end()) return milliseconds{0};
  const auto table = Table::adopt(base::Fd(::fcntl(file->fd.get(), F_DUPFD_CLOEXEC, 0)));
  if (!table) return milliseconds{0};
  const auto began = std::chrono::duration_cast<milliseconds>(now.time_since_epoch());
  constexpr milliseconds kAhead = StartRate::kEvery * StartRate::kAtOnce;
  Shared<std::int64_t>& told = (*table)->header().starts_paid_until;
  // Whatever it says, nobody waits for longer.
  const milliseconds paid =
      std::clamp(milliseconds(told.load()), began, began + kAhead) + StartRate::kEvery;
  told.store(paid.count());
  return std::max(paid - began - kAhead, milliseconds{0});
}

}  // namespace sc::handoff
