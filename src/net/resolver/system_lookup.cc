#include "net/resolver/system_lookup.h"

#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>

#include <atomic>
#include <cerrno>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "base/blocked_signals.h"
#include "base/result.h"

namespace sc::net {
namespace {

std::atomic<int> lookups_running{0};

SystemLookup::Result look_up(std::string name) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int status = ::getaddrinfo(name.c_str(), nullptr, &hints, &found);
  const int error = errno;
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> freed(found, &::freeaddrinfo);
  SystemLookup::Result result;
  result.name = std::move(name);
  if (status == EAI_NONAME || status == EAI_NODATA || status == EAI_ADDRFAMILY) {
    result.message = "host not found";
  } else if (status == EAI_SYSTEM) {
    result.is_exhausted = error == EMFILE || error == ENFILE || error == ENOMEM;
    result.is_silent = !result.is_exhausted;
    result.message = base::describe_errno("getaddrinfo", error);
  } else if (status != 0) {
    result.is_exhausted = status == EAI_MEMORY;
    result.is_silent = !result.is_exhausted;
    result.message = status == EAI_AGAIN ? "no name server answered, or all of them failed"
                                         : ::gai_strerror(status);
  }
  for (const addrinfo* each = found; status == 0 && each != nullptr; each = each->ai_next) {
    if (each->ai_family != AF_INET && each->ai_family != AF_INET6) continue;
    result.addresses.emplace_back(each->ai_addr, each->ai_addrlen);
    result.addresses.back().set_port(0);
  }
  if (status == 0 && result.addresses.empty()) result.message = "the name has no address";
  return result;
}

}  // namespace

struct SystemLookup::Pool {
  std::mutex mutex;    // guards what follows
  OnResult on_result;  // empty: the owner is gone
  std::deque<std::string> waiting;
  std::size_t threads = 0;
};

SystemLookup::SystemLookup(OnResult on_result) : pool_(std::make_shared<Pool>()) {
  pool_->on_result = std::move(on_result);
}

SystemLookup::~SystemLookup() {
  const std::lock_guard lock(pool_->mutex);
  pool_->on_result = nullptr;
  pool_->waiting.clear();
}

int SystemLookup::running() { return lookups_running.load(); }

void SystemLookup::start(const std::string& name) {
  {
    const std::lock_guard lock(pool_->mutex);
    pool_->waiting.push_back(name);
    if (pool_->threads == kMostThreads) return;
    ++pool_->threads;
  }
  const base::BlockedSignals blocked;
  lookups_running.fetch_add(1);
  try {
    std::thread([pool = pool_] { work(pool); }).detach();
  } catch (const std::system_error& failure) {
    lookups_running.fetch_sub(1);
    OnResult told;
    {
      const std::lock_guard lock(pool_->mutex);
      --pool_->threads;
      if (pool_->threads > 0) return;  // one of them takes it
      pool_->waiting.clear();
      told = pool_->on_result;
    }
    Result none;
    none.name = name;
    none.is_exhausted = true;
    none.message = base::describe_errno("the host gives no thread", failure.code().value());
    told(std::move(none));
  }
}

void SystemLookup::work(const std::shared_ptr<Pool>& pool) {
  ::pthread_setname_np(::pthread_self(), "name-lookup");
  std::unique_lock lock(pool->mutex);
  while (!pool->waiting.empty()) {
    std::string name = std::move(pool->waiting.front());
    pool->waiting.pop_front();
    lock.unlock();
    Result result = look_up(std::move(name));
    lock.lock();
    // Under the lock: once the owner has taken on_result away, none is called any more.
    if (pool->on_result) pool->on_result(std::move(result));
  }
  --pool->threads;
  lookups_running.fetch_sub(1);
}

}  // namespace sc::net
