#pragma once

#include <chrono>
#include <utility>

#include "base/clock.h"
#include "loop/loop.h"
#include "net/resolver/resolver_client.h"

namespace sc::test {

// A resolver that asks getaddrinfo(), which FakeHost plays. Declare it after the Loop and before
// what looks names up.
struct SystemResolver {
  explicit SystemResolver(loop::Loop& loop,
                          std::chrono::milliseconds timeout = std::chrono::seconds(5))
      : resolver(options(timeout), clock), client(loop, resolver) {}
  SystemResolver(const SystemResolver&) = delete;
  SystemResolver& operator=(const SystemResolver&) = delete;
  ~SystemResolver() { resolver.stop(); }

  static net::ResolverOptions options(std::chrono::milliseconds timeout = std::chrono::seconds(5)) {
    net::ResolverOptions options;
    options.mode = net::ResolverOptions::Mode::system;
    options.timeout = timeout;
    return options;
  }

  base::SystemClock clock;
  net::Resolver resolver;
  net::ResolverClient client;
};

}  // namespace sc::test
