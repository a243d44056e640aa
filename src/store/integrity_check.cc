#include "store/integrity_check.h"

#include <SQLiteCpp/Column.h>
#include <SQLiteCpp/Database.h>
#include <pthread.h>
#include <sqlite3.h>

#include <system_error>
#include <utility>

#include "base/blocked_signals.h"
#include "base/log.h"
#include "store/sqlite_error.h"

namespace sc::store {
namespace {

constexpr int kBusyMillis = 5000;  // another program's sqlite3 may hold a lock
constexpr std::chrono::milliseconds kLook{10};

}  // namespace

IntegrityCheck::IntegrityCheck(std::string file, const std::string& uri, int flags)
    : file_(std::move(file)) {
  try {
    const base::BlockedSignals blocked;
    thread_ = std::thread([this, uri, flags] {
      ::pthread_setname_np(::pthread_self(), "check");
      run(uri, flags);
    });
  } catch (const std::system_error&) {  // the host gives no thread now
    run(uri, flags);
  }
}

IntegrityCheck::~IntegrityCheck() {
  stop();
  if (thread_.joinable()) thread_.join();
}

// Again and again, as SQLite forgets an interrupt that comes before the statement begins.
void IntegrityCheck::stop() {
  std::unique_lock lock(mutex_);
  if (is_over_) return;
  is_interrupted_ = true;
  do {
    if (connection_ != nullptr) sqlite3_interrupt(connection_);
  } while (!over_.wait_for(lock, std::chrono::milliseconds(5), [this] { return is_over_; }));
}

bool IntegrityCheck::wait_for(std::chrono::milliseconds most) {
  std::unique_lock lock(mutex_);
  is_in_background_ = !over_.wait_for(lock, most, [this] { return is_over_; });
  return !is_in_background_;
}

base::Result<void> IntegrityCheck::wait() {
  std::unique_lock lock(mutex_);
  over_.wait(lock, [this] { return is_over_; });
  return verdict_;
}

base::Result<void> IntegrityCheck::wait_while(const std::function<bool()>& may_go_on) {
  std::unique_lock lock(mutex_);
  while (!over_.wait_for(lock, kLook, [this] { return is_over_; })) {
    if (may_go_on()) continue;
    lock.unlock();
    stop();
    return base::Error{base::Errc::unavailable,
                       "the check of the database " + file_ + " was ended before it was complete"};
  }
  return verdict_;
}

bool IntegrityCheck::is_passed() {
  const std::lock_guard lock(mutex_);
  return is_over_ && !is_interrupted_ && verdict_;
}

void IntegrityCheck::on_damage(std::function<void(const base::Error&)> function) {
  std::unique_lock lock(mutex_);
  if (!is_over_) {
    on_damage_ = std::move(function);
  } else if (!verdict_) {
    lock.unlock();
    function(verdict_.error());
  }
}

void IntegrityCheck::run(const std::string& uri, int flags) {
  auto found = check(uri, flags);
  std::function<void(const base::Error&)> on_damage;
  {
    const std::lock_guard lock(mutex_);
    if (is_in_background_ && !is_interrupted_ && found)
      base::log::info("database check found no damage", {{"file", file_}});
    if (!is_interrupted_ && !found) {
      verdict_ = found;
      on_damage = std::exchange(on_damage_, {});
    }
    is_over_ = true;
    over_.notify_all();  // under the lock, as this may be destroyed once it is over
  }
  if (on_damage) on_damage(found.error());
}

// The connection is closed under the lock, as an interrupt may not meet one that is being closed.
base::Result<void> IntegrityCheck::check(const std::string& uri, int flags) try {
  SQLite::Database connection(uri, flags, kBusyMillis);
  struct Registered {
    explicit Registered(IntegrityCheck& of, sqlite3* opened) : check(of) {
      const std::lock_guard lock(check.mutex_);
      check.connection_ = opened;
    }
    Registered(const Registered&) = delete;
    Registered& operator=(const Registered&) = delete;
    ~Registered() {
      const std::lock_guard lock(check.mutex_);
      check.connection_ = nullptr;
    }
    IntegrityCheck& check;
  } const registered(*this, connection.getHandle());
  std::string verdict = connection.execAndGet("PRAGMA quick_check(1)").getString();
  if (verdict == "ok") return {};
  verdict.erase(0, verdict.rfind('\n') + 1);  // the line before names the schema, `main`
  return base::Error{base::Errc::invalid, "the database " + file_ + " is corrupt: " + verdict};
} catch (const SQLite::Exception& failure) {
  return to_error("the database " + file_ + " cannot be used", failure);
}

}  // namespace sc::store
