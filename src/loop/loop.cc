#include "loop/loop.h"

#include <cassert>
#include <stdexcept>
#include <string>

#include "loop/handle.h"

namespace sc::loop {

void check(int status, const char* what) {
  if (status < 0) throw std::runtime_error(std::string(what) + ": " + uv_strerror(status));
}

Loop::Loop() : loop_(std::make_unique<uv_loop_t>()) {
  check(uv_loop_init(loop_.get()), "uv_loop_init");
}

Loop::~Loop() {
  // Asked first, as an active handle would keep the turns below going for good.
  const auto check_closing = [](uv_handle_t* handle, void*) {
    assert(uv_is_closing(handle) && "a handle outlives its loop");
    static_cast<void>(handle);
  };
  uv_walk(loop_.get(), check_closing, nullptr);
  while (uv_run(loop_.get(), UV_RUN_DEFAULT) != 0) {
    // A stop() that came too late for a turn ended this one early.
  }
  [[maybe_unused]] const int status = uv_loop_close(loop_.get());
  assert(status == 0);
}

void Loop::run() { uv_run(loop_.get(), UV_RUN_DEFAULT); }

void Loop::run_once(bool wait) { uv_run(loop_.get(), wait ? UV_RUN_ONCE : UV_RUN_NOWAIT); }

void Loop::stop() { uv_stop(loop_.get()); }

std::chrono::milliseconds Loop::now() const {
  return std::chrono::milliseconds(uv_now(loop_.get()));
}

}  // namespace sc::loop
