#pragma once

#include <functional>
#include <string>

namespace sc::test {

// What `body` returns when it runs in a process of its own, where it may do what it likes to the
// environment and to descriptors. Fails the test when that process does not end well. `body` must
// not use Catch's macros.
std::string in_child(const std::function<std::string()>& body);

// Makes `from[0]`, `from[1]`, ... the child's descriptors 3, 4, ..., as a service manager does, and
// says so in LISTEN_FDS and LISTEN_PID; `names` is LISTEN_FDNAMES. For the body of in_child().
void pass_fds(std::initializer_list<int> from, const char* names);

// A variable of the environment for as long as this lives. One thread.
class ScopedEnvironment {
 public:
  ScopedEnvironment(std::string name, const std::string& value);
  ScopedEnvironment(const ScopedEnvironment&) = delete;
  ScopedEnvironment& operator=(const ScopedEnvironment&) = delete;
  ~ScopedEnvironment();

 private:
  const std::string name_;
};

}  // namespace sc::test
