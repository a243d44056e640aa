#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <shared_mutex>
#include <vector>

#include "base/fd.h"
#include "loop/loop.h"
#include "loop/poll.h"
#include "net/address.h"

namespace sc::net {

// The addresses at which this host takes connections itself: those of its interfaces, 127.0.0.0/8,
// and every other prefix with a route of type `local` (ip-route(8)). Read from the kernel's table
// `local` at the start, and again when the kernel reports a change (rtnetlink(7)). Made and
// destroyed on the loop's thread; contains() and may_contain() may be called from any.
class LocalAddresses {
 public:
  explicit LocalAddresses(loop::Loop& loop);
  LocalAddresses(const LocalAddresses&) = delete;
  LocalAddresses& operator=(const LocalAddresses&) = delete;
  ~LocalAddresses() = default;

  // Returns whether a connection to the address arrives at this host. A wildcard address does,
  // since connect(2) replaces it by loopback; so does an IPv4 address that is mapped into IPv6.
  bool contains(const Address& address) const;
  // The same, but true for every address while the kernel's table could not be read.
  bool may_contain(const Address& address) const;

 private:
  using Bytes = std::array<unsigned char, 16>;  // IPv4 mapped into IPv6
  struct Prefix {
    Bytes bytes{};
    int length = 128;         // bits
    std::uint32_t scope = 0;  // interface, of a link-local address; 0: none
  };
  struct Known {
    std::vector<Prefix> hosts;     // of full length, sorted
    std::vector<Prefix> prefixes;  // shorter ones
  };

  void on_change();
  void read_again();
  static std::optional<Known> read();
  static bool add_routes(int socket, int family, Known& known);
  static void add_route(const void* message, std::size_t size, Known& known);
  bool is_in_table(const Address& address) const;

  mutable std::shared_mutex mutex_;  // of what follows
  Known known_;
  bool is_read_ = false;

  base::Fd changes_;  // none: the kernel gives no such socket
  std::optional<loop::Poll> poll_;
};

}  // namespace sc::net
