#include "base/kill_point.h"

#ifdef SC_KILL_POINTS

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <string>
#include <string_view>

namespace sc::base {
namespace {

struct Target {
  std::string name;
  std::atomic<long> passes_left{0};

  Target() {
    const char* given = std::getenv("SC_KILL_AT");
    if (given == nullptr) return;
    const std::string_view text = given;
    const auto colon = text.rfind(':');
    name = text.substr(0, colon);
    passes_left = colon == std::string_view::npos
                      ? 1
                      : std::atol(std::string(text.substr(colon + 1)).c_str());
  }
};

}  // namespace

void pass_kill_point(const char* name) {
  static Target target;
  if (target.name == name && target.passes_left.fetch_sub(1) == 1) ::raise(SIGKILL);
}

}  // namespace sc::base

#endif
