#pragma once

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <cstdlib>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "base/fd.h"
#include "base/result.h"

namespace sc::test {

// Two network namespaces with a cable between them: `near` for the code under test (10.97.0.1,
// 10.98.0.1), `far` for the hosts that it talks to (10.97.0.2, 10.98.0.2). The calling thread is in
// `near` until this dies; threads that it starts stay there. Nothing is left behind, as the kernel
// ends both with their last descriptor. Needs root.
class TwoHosts {
 public:
  TwoHosts() : before_(current()) {
    enter_new();
    near_ = current();
    enter_new();
    far_ = current();
    enter(near_);
    const std::string far =
        "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(far_.get());
    run("ip link set lo up");
    run("ip link add near type veth peer name far netns " + far);
    run("ip address add 10.97.0.1/24 dev near");
    run("ip address add 10.98.0.1/24 dev near");
    run("ip link set near up");
    at_far([] {
      run("ip link set far up");
      run("ip link set lo up");
      run("ip address add 10.97.0.2/24 dev far");
      run("ip address add 10.98.0.2/24 dev far");
    });
  }
  TwoHosts(const TwoHosts&) = delete;
  TwoHosts& operator=(const TwoHosts&) = delete;
  ~TwoHosts() { static_cast<void>(::setns(before_.get(), CLONE_NEWNET)); }

  template <class Do>
  std::invoke_result_t<Do> at_far(Do what) const {
    struct Return {
      const TwoHosts& hosts;
      ~Return() { static_cast<void>(::setns(hosts.near_.get(), CLONE_NEWNET)); }
    };
    enter(far_);
    const Return back{*this};
    return what();
  }

  // The far host with that address answers nothing any more, as if its power were cut.
  void cut_power(const std::string& ip) const {
    at_far([&] { run("ip address del " + ip + "/24 dev far"); });
  }

  static void run(const std::string& command) {
    if (std::system(command.c_str()) != 0) throw std::runtime_error(command);  // NOLINT
  }

 private:
  static base::Fd current() {
    return base::Fd(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  }
  static void enter_new() {
    if (::unshare(CLONE_NEWNET) != 0)
      throw std::runtime_error(base::describe_errno("unshare", errno));
  }
  static void enter(const base::Fd& space) {
    if (::setns(space.get(), CLONE_NEWNET) != 0)
      throw std::runtime_error(base::describe_errno("setns", errno));
  }

  base::Fd before_;
  base::Fd near_;
  base::Fd far_;
};

}  // namespace sc::test
