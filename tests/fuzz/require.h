#pragma once

#include <cstdio>
#include <cstdlib>

namespace sc::fuzz {

// What must be true whatever the input is. Not an assert, for it counts in release builds too.
inline void require(bool is_true, const char* what) {
  if (is_true) return;
  std::fprintf(stderr, "not so: %s\n", what);
  std::abort();
}

}  // namespace sc::fuzz
