#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/fd.h"
#include "handoff/layout.h"

namespace sc::handoff {

// One end of a unix socket pair into which descriptors are sent and never received: while the
// service manager holds the other end, the kernel holds what is in it. One message a record.
//
// A copy each in the manager's store would cost it 100 times as much, as it compares each new
// descriptor with all others.

// Makes a pair. Nothing when the host gives none.
struct CapsuleEnds {
  base::Fd inner;  // where records go in
  base::Fd outer;  // what the manager keeps
};
std::optional<CapsuleEnds> make_capsule();

// Does nobody hold the other end any more?
bool is_hung_up(int inner);

// 0, or the errno: EAGAIN when it is full; EPIPE when nobody holds the outer end any more;
// ETOOMANYREFS at the kernel's limit.
int send_record(int inner, const Record& record, std::span<const int> fds);

struct FoundRecord {
  Record record;
  std::vector<base::Fd> fds;  // copies: what is in the capsule stays there
};
// All that is in it, from the beginning, whoever looked before; looking takes nothing out.
// Descriptors that the host does not let us have are missing.
std::vector<FoundRecord> look_into(int outer);

}  // namespace sc::handoff
