#include "core/reconcile.h"

namespace sc::core {

std::vector<ReconcileAction> reconcile(const std::vector<Stream>& desired,
                                       const std::vector<Stream>& running) {
  std::vector<ReconcileAction> closes;
  std::vector<ReconcileAction> changes;
  std::vector<ReconcileAction> opens;
  auto want = desired.begin();
  auto have = running.begin();
  while (want != desired.end() || have != running.end()) {
    if (have == running.end() || (want != desired.end() && want->spec.port < have->spec.port)) {
      opens.emplace_back(OpenStream{*want++});
    } else if (want == desired.end() || have->spec.port < want->spec.port) {
      closes.emplace_back(CloseStream{*have++});
    } else {
      if (want->spec != have->spec) changes.emplace_back(ChangeStream{*want, *have});
      ++want;
      ++have;
    }
  }
  closes.insert(closes.end(), changes.begin(), changes.end());
  closes.insert(closes.end(), opens.begin(), opens.end());
  return closes;
}

}  // namespace sc::core
