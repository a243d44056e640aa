#pragma once

#include <sys/socket.h>

#include <string>
#include <vector>

#include "base/callback.h"
#include "base/result.h"
#include "loop/loop.h"

struct addrinfo;
struct uv_getaddrinfo_s;

namespace sc::loop {

// Asks the host's resolver (getaddrinfo(3): /etc/hosts, DNS, nsswitch) for a name's stream-socket
// addresses, in its order. Starts when made; destruction cancels. Loop's thread only.
//
// libuv runs it on its process-wide pool and gives look-ups half of the UV_THREADPOOL_SIZE threads,
// so names whose servers do not answer delay others once that many hang.
class Lookup {
 public:
  using Addresses = std::vector<sockaddr_storage>;
  // Errc::unavailable when the name does not resolve. May destroy the Lookup.
  using OnDone = base::Callback<void(base::Result<Addresses>)>;

  Lookup(Loop& loop, const std::string& name, OnDone on_done);
  Lookup(const Lookup&) = delete;
  Lookup& operator=(const Lookup&) = delete;
  ~Lookup();

  // Look-ups of the whole process that libuv still holds, cancelled ones included: a loop cannot be
  // closed before its last has come back, and the resolver cannot be interrupted. Any thread.
  static int in_flight();

 private:
  static void on_answer(uv_getaddrinfo_s* request, int status, addrinfo* found) noexcept;

  OnDone on_done_;
  uv_getaddrinfo_s* request_ = nullptr;  // belongs to libuv until it answers
};

}  // namespace sc::loop
