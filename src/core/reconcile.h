#pragma once

#include <variant>
#include <vector>

#include "core/stream.h"

namespace sc::core {

struct OpenStream {
  Stream stream;
};
// `seen`: what ran when it was decided.
struct ChangeStream {
  Stream stream;
  Stream seen;
};
struct CloseStream {
  Stream seen;
};
using ReconcileAction = std::variant<CloseStream, ChangeStream, OpenStream>;

// What makes `running` into `desired`, both sorted by port: closes first, then changes, then opens,
// each by port. Pure. State and reason play no part: only specs are compared.
std::vector<ReconcileAction> reconcile(const std::vector<Stream>& desired,
                                       const std::vector<Stream>& running);

}  // namespace sc::core
