#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include "base/callback.h"
#include "loop/loop.h"
#include "loop/mailbox.h"
#include "net/resolver/resolver.h"

namespace sc::net {

// One loop's end of the resolver. Dies after Resolver::stop(). Loop's thread only.
class ResolverClient {
 public:
  ResolverClient(loop::Loop& loop, Resolver& resolver);
  ResolverClient(const ResolverClient&) = delete;
  ResolverClient& operator=(const ResolverClient&) = delete;

  Resolver& resolver() { return resolver_; }

  // The answer that may be used now, without a system call; it may be a failure. null: Lookup asks.
  std::shared_ptr<const NameAnswer> find(Name& name);

 private:
  friend class Lookup;
  friend class Resolver;

  void add(const std::shared_ptr<Name>& name, class Lookup& lookup);
  void remove(const class Lookup& lookup);
  void on_answered(const std::shared_ptr<Name>& name);

  Resolver& resolver_;
  std::uint64_t next_id_ = 1;
  std::unordered_map<std::uint64_t, class Lookup*> lookups_;
  // Asked and not answered. Holds the names, so that their addresses stay theirs.
  std::unordered_map<std::shared_ptr<Name>, std::vector<std::uint64_t>> waiting_;
  loop::Mailbox<std::shared_ptr<Name>> answered_;
};

// One caller that waits for a name. Asks when made; on_done comes later, at most once; destruction
// cancels. Loop's thread only.
class Lookup {
 public:
  using OnDone = base::Callback<void(std::shared_ptr<const NameAnswer>)>;  // may destroy the Lookup

  Lookup(ResolverClient& client, const std::shared_ptr<Name>& name, OnDone on_done);
  Lookup(const Lookup&) = delete;
  Lookup& operator=(const Lookup&) = delete;
  ~Lookup();

 private:
  friend class ResolverClient;
  ResolverClient& client_;
  std::uint64_t id_ = 0;
  OnDone on_done_;
};

}  // namespace sc::net
