#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "base/result.h"

struct sqlite3;

namespace sc::store {

// Reads a whole database by a read-only connection on a thread of its own and looks for damage
// (PRAGMA quick_check). A large one takes seconds, for which a start does not wait.
class IntegrityCheck {
 public:
  // Begins, and is over already if the host gives no thread. `file` is named in the verdict; `uri`
  // and `flags` are what SQLite opens.
  IntegrityCheck(std::string file, const std::string& uri, int flags);
  IntegrityCheck(const IntegrityCheck&) = delete;
  IntegrityCheck& operator=(const IntegrityCheck&) = delete;
  // As stop(); without a call of the function that on_damage() was given afterwards.
  ~IntegrityCheck();

  // Interrupts it, unless it is over, and waits until its connection is closed. It has not passed
  // then.
  void stop();

  // Waits for the end, but not longer than that. Returns whether it is over; if not, its end will
  // be logged.
  bool wait_for(std::chrono::milliseconds most);
  // Waits for the end. invalid: the database is corrupt, and where.
  base::Result<void> wait();
  // As wait(), while the function, which is called every few milliseconds, returns true. Then it
  // stops the check. unavailable: it was stopped.
  base::Result<void> wait_while(const std::function<bool()>& may_go_on);
  // Is it over, and found no damage?
  bool is_passed();
  // Calls the function with the damage, if some is found: on the thread of the check or, if it is
  // over already, at once.
  void on_damage(std::function<void(const base::Error&)> function);

 private:
  void run(const std::string& uri, int flags);
  base::Result<void> check(const std::string& uri, int flags);

  const std::string file_;
  std::mutex mutex_;  // guards all below but the thread
  std::condition_variable over_;
  bool is_over_ = false;
  bool is_interrupted_ = false;
  bool is_in_background_ = false;
  base::Result<void> verdict_;
  std::function<void(const base::Error&)> on_damage_;
  sqlite3* connection_ = nullptr;  // while it is open

  std::thread thread_;  // last: it uses all of the above
};

}  // namespace sc::store
