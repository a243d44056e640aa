#pragma once

#include <chrono>
#include <memory>

struct uv_loop_s;

namespace sc::loop {

// One event loop, for one thread. Everything made on it must be gone before it is: the destructor
// runs the loop once more for the closing handles and asserts that none is left, so a leak fails
// the test that made it.
class Loop {
 public:
  Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  ~Loop();

  // Turns until stop() is called or nothing is left to wait for.
  void run();
  // One turn; waits for at least one event if `wait`. For tests and for shutting down.
  void run_once(bool wait);
  // From this loop's thread. The present turn is finished first.
  void stop();

  // Monotonic, taken at the start of the present turn: no system call.
  std::chrono::milliseconds now() const;

  uv_loop_s* raw() { return loop_.get(); }

 private:
  std::unique_ptr<uv_loop_s> loop_;
};

}  // namespace sc::loop
