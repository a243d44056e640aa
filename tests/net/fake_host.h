#pragma once

#include <string>
#include <vector>

namespace sc::test {

// Plays parts of the host that a test cannot bring about otherwise. This binary's own getaddrinfo()
// and connect() stand in front of libc's, for libuv as well; what is not asked for here passes
// through. One at a time; any thread.
class FakeHost {
 public:
  FakeHost() = default;
  FakeHost(const FakeHost&) = delete;
  FakeHost& operator=(const FakeHost&) = delete;
  // All as before; look-ups that hang go on. Declare it after the Loop, which waits for them.
  ~FakeHost();

  // The name has these addresses, in this order.
  void add_name(const std::string& name, std::vector<std::string> ips);
  // Look-ups of the name hang until answer_names().
  void hang_name(const std::string& name);
  void answer_names();

  // The kernel picks for each connect the very address and port that it leads to, as it may on
  // loopback when nobody listens there.
  void connect_from_target();
};

}  // namespace sc::test
