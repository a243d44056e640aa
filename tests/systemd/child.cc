#include "systemd/child.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <vector>

#include "base/fd.h"
#include "support/catch.h"

namespace sc::test {
namespace {

constexpr int kAboveAll = 100;  // beyond every descriptor that a test passes

void write_all(int fd, const std::string& text) {
  std::size_t done = 0;
  while (done < text.size()) {
    const ssize_t count = ::write(fd, text.data() + done, text.size() - done);
    if (count <= 0) ::_exit(3);
    done += static_cast<std::size_t>(count);
  }
}

std::string read_all(int fd) {
  std::string text;
  std::array<char, 1024> buffer{};
  while (true) {
    const ssize_t count = ::read(fd, buffer.data(), buffer.size());
    if (count <= 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(count));
  }
}

}  // namespace

std::string in_child(const std::function<std::string()>& body) {
  std::array<int, 2> ends{};
  REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
  const base::Fd out(ends[0]);
  base::Fd in(ends[1]);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const int answer = ::fcntl(in.get(), F_DUPFD_CLOEXEC, kAboveAll);
    write_all(answer, body());
    ::_exit(0);
  }
  in.reset();
  std::string answer = read_all(out.get());
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(status == 0);
  return answer;
}

void pass_fds(std::initializer_list<int> from, const char* names) {
  std::vector<int> safe;
  for (const int fd : from) safe.push_back(::fcntl(fd, F_DUPFD_CLOEXEC, kAboveAll));
  int next = 3;  // SD_LISTEN_FDS_START
  for (const int fd : safe) ::dup2(fd, next++);
  ::setenv("LISTEN_FDS", std::to_string(from.size()).c_str(), 1);
  ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
  if (names != nullptr) ::setenv("LISTEN_FDNAMES", names, 1);
}

ScopedEnvironment::ScopedEnvironment(std::string name, const std::string& value)
    : name_(std::move(name)) {
  REQUIRE(::setenv(name_.c_str(), value.c_str(), 1) == 0);
}

ScopedEnvironment::~ScopedEnvironment() { ::unsetenv(name_.c_str()); }

}  // namespace sc::test
