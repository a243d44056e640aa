#pragma once

#include <fcntl.h>

#include <algorithm>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "handoff/store_link.h"
#include "handoff/vault.h"

namespace sc::test {

// The service manager's file descriptor store in this process. Any thread; outlives its links.
class FakeFdStore {
 public:
  handoff::StoreLink link() {
    return {[this](const std::string& name, int fd) { return put(name, fd); },
            [this](const std::string& name) { ask_to_remove(name); },
            [this](const std::string& name, int fd) { return put_later(name, fd); },
            [this] {
              const std::lock_guard lock(mutex_);
              return is_busy_;
            }};
  }

  // What it passes to the next process; it keeps its own copies.
  std::vector<handoff::StoredFd> passed() const {
    const std::lock_guard lock(mutex_);
    std::vector<handoff::StoredFd> copies;
    for (const auto& [name, fd] : kept_) copies.push_back({name, copy_of(fd.get())});
    return copies;
  }

  std::vector<std::string> names() const {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> all;
    for (const auto& [name, fd] : kept_) all.push_back(name);
    return all;
  }
  std::size_t capsules() const {
    const auto all = names();
    return static_cast<std::size_t>(std::count_if(all.begin(), all.end(), [](const auto& name) {
      return name.starts_with(handoff::kCapsulePrefix);
    }));
  }
  std::vector<std::string> names_but_capsules() const {
    auto all = names();
    std::erase_if(all, [](const auto& name) { return name.starts_with(handoff::kCapsulePrefix); });
    return all;
  }
  std::size_t times_asked() const {
    const std::lock_guard lock(mutex_);
    return asked_;
  }

  // As with FileDescriptorStoreMax= reached: it drops what comes, and tells nobody.
  void refuse(bool refuses) {
    const std::lock_guard lock(mutex_);
    refuses_ = refuses;
  }
  // It does not read: put() fails, what may wait is taken once it reads again.
  void pause(bool is_busy) {
    const std::lock_guard lock(mutex_);
    is_busy_ = is_busy;
    if (is_busy) return;
    for (auto& [name, fd] : waiting_) take(name, std::move(fd));
    waiting_.clear();
  }
  // It cannot even be asked.
  void vanish() {
    const std::lock_guard lock(mutex_);
    is_there_ = false;
  }
  void remove(const std::string& name) {
    const std::lock_guard lock(mutex_);
    take(name, {});
  }

  static base::Fd copy_of(int fd) { return base::Fd(::fcntl(fd, F_DUPFD_CLOEXEC, 0)); }

 private:
  bool put(const std::string& name, int fd) {
    const std::lock_guard lock(mutex_);
    ++asked_;
    if (is_busy_) return false;
    if (is_there_ && !refuses_) kept_.emplace_back(name, copy_of(fd));
    return is_there_;
  }
  bool put_later(const std::string& name, int fd) {
    const std::lock_guard lock(mutex_);
    ++asked_;
    if (!is_there_) return false;
    is_busy_ ? void(waiting_.emplace_back(name, copy_of(fd))) : take(name, copy_of(fd));
    return true;
  }
  void ask_to_remove(const std::string& name) {
    const std::lock_guard lock(mutex_);
    is_busy_ ? void(waiting_.emplace_back(name, base::Fd())) : take(name, {});
  }
  // No descriptor: all of that name go.
  void take(const std::string& name, base::Fd fd) {
    if (!fd) {
      std::erase_if(kept_, [&](const auto& each) { return each.first == name; });
    } else if (is_there_ && !refuses_) {
      kept_.emplace_back(name, std::move(fd));
    }
  }

  mutable std::mutex mutex_;  // guards the rest
  std::vector<std::pair<std::string, base::Fd>> kept_;
  std::size_t asked_ = 0;
  bool refuses_ = false;
  bool is_there_ = true;
  bool is_busy_ = false;
  std::vector<std::pair<std::string, base::Fd>> waiting_;  // in order; no descriptor: a removal
};

}  // namespace sc::test
