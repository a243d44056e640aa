#pragma once

#include <cstddef>
#include <string_view>

namespace sc::handoff {

// Why something is not kept, though it should be.
enum class Trouble : unsigned char {
  none,
  no_store,       // no manager keeps descriptors for us, or it does not read its messages now
  store_refused,  // the manager did not take a capsule: FileDescriptorStoreMax= is reached
  in_flight,      // the kernel lets a user have no more descriptors in capsules than its
                  // RLIMIT_NOFILE (unix(7): ETOOMANYREFS)
  table_full,     // more sessions than the table has slots
  no_pipe,        // the host gives no pipe to move the session's bytes through
  host,           // it gives no descriptor or memory
};
constexpr std::size_t kTroubles = 7;

// The word for API and log.
std::string_view to_string(Trouble trouble);

}  // namespace sc::handoff
