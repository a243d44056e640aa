#pragma once

#include <string>
#include <vector>

namespace sc::test {

// Plays parts of the host that a test cannot bring about otherwise. This binary's own
// getaddrinfo(), connect(), epoll_ctl() and pthread_create() stand in front of libc's, for libuv as
// well; what is not asked for here passes through. One at a time; any thread.
class FakeHost {
 public:
  FakeHost() = default;
  FakeHost(const FakeHost&) = delete;
  FakeHost& operator=(const FakeHost&) = delete;
  // All as before; look-ups that hang go on. Declare it after the Loop, which waits for them.
  ~FakeHost();

  // The name has these addresses, in this order.
  void add_name(const std::string& name, std::vector<std::string> ips);
  // The name does not exist, and nobody outside is asked for it.
  void forget_name(const std::string& name);
  // Look-ups of the name hang until answer_names().
  void hang_name(const std::string& name);
  void answer_names();

  // After so many more descriptors that it takes to poll, the kernel refuses one, as it does beyond
  // fs.epoll.max_user_watches.
  void refuse_poll_after(int allowed);

  // After so many more threads the host gives none, as at TasksMax=.
  void refuse_threads_after(int allowed);

  // The kernel picks for each connect the very address and port that it leads to, as it may on
  // loopback when nobody listens there.
  void connect_from_target();
};

}  // namespace sc::test
