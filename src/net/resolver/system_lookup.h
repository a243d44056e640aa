#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "net/address.h"

namespace sc::net {

// getaddrinfo(3) on threads of its own, for RESOLVER=system. It cannot be interrupted. A name
// whose servers are silent may hold a thread for a minute (resolv.conf(5): timeout times attempts
// times servers times search domains). There is one look-up a name, on at most kMostThreads
// threads. So up to kMostThreads - 1 such names delay no other name.
//
// The pool outlives its owner where look-ups still run; what they find is dropped then.
class SystemLookup {
 public:
  static constexpr std::size_t kMostThreads = 32;

  struct Result {
    std::string name;
    std::vector<Address> addresses;  // port 0, in getaddrinfo's order
    bool is_silent = false;          // EAI_AGAIN: no server answered, or they failed
    bool is_exhausted = false;       // this host has no thread or memory for it
    std::string message;             // the cause if there is no address
  };
  // Called on a thread of the pool, or on the caller's from inside start() if the host gives none.
  using OnResult = std::function<void(Result)>;

  explicit SystemLookup(OnResult on_result);
  SystemLookup(const SystemLookup&) = delete;
  SystemLookup& operator=(const SystemLookup&) = delete;
  // No result comes any more.
  ~SystemLookup();

  // Any thread; one look-up a name at a time is the caller's to see to.
  void start(const std::string& name);

  // Look-ups of the whole process that run: it cannot end in order before they have. Any thread.
  static int running();

 private:
  struct Pool;
  static void work(const std::shared_ptr<Pool>& pool);

  std::shared_ptr<Pool> pool_;
};

}  // namespace sc::net
