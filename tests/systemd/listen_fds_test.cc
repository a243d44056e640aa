#include "systemd/listen_fds.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

#include "support/catch.h"
#include "systemd/child.h"

namespace sc::systemd {
namespace {

// Listening, but for a type or family where that makes no sense; not close-on-exec and blocking, as
// a manager passes them. bind(2) with the family alone picks an abstract name or a free port.
base::Fd make_socket(int family, int type, bool listening) {
  base::Fd fd(::socket(family, type, 0));
  REQUIRE(fd);
  sockaddr_storage any{};
  any.ss_family = static_cast<sa_family_t>(family);
  const socklen_t size = family == AF_UNIX ? sizeof(sa_family_t) : sizeof(sockaddr_in6);
  REQUIRE(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&any), size) == 0);
  if (listening) REQUIRE(::listen(fd.get(), 1) == 0);
  return fd;
}

// `3:api 4:api ` or the error.
std::string describe_taken() {
  auto taken = take_passed_fds();
  if (!taken) return std::string(to_string(taken.error().code)) + ": " + taken.error().message;
  std::string text;
  for (const PassedFd& passed : *taken) {
    const bool fit = (::fcntl(passed.fd.get(), F_GETFD) & FD_CLOEXEC) != 0 &&
                     (::fcntl(passed.fd.get(), F_GETFL) & O_NONBLOCK) != 0;
    text += std::to_string(passed.fd.get()) + ":" + passed.name + (fit ? " " : "(unfit) ");
  }
  return text;
}

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

TEST_CASE("without LISTEN_FDS no socket is passed") {
  CHECK(test::in_child([] { return describe_taken(); }).empty());
}

TEST_CASE("a TCP and a unix socket of one name are taken, ready for use") {
  const base::Fd tcp = make_socket(AF_INET6, SOCK_STREAM, true);
  const base::Fd local = make_socket(AF_UNIX, SOCK_STREAM, true);
  CHECK(test::in_child([&] {
          test::pass_fds({tcp.get(), local.get()}, "api:api");
          return describe_taken();
        }) == "3:api 4:api ");
}

TEST_CASE("an IPv4 socket is taken") {
  const base::Fd tcp = make_socket(AF_INET, SOCK_STREAM, true);
  CHECK(test::in_child([&] {
          test::pass_fds({tcp.get()}, "other");
          return describe_taken();
        }) == "3:other ");
}

TEST_CASE("sockets that were passed without a name are called unknown") {
  const base::Fd tcp = make_socket(AF_INET, SOCK_STREAM, true);
  CHECK(test::in_child([&] {
          test::pass_fds({tcp.get()}, nullptr);
          return describe_taken();
        }) == "3:unknown ");
}

TEST_CASE("sockets are taken once, and the variables go") {
  const base::Fd tcp = make_socket(AF_INET, SOCK_STREAM, true);
  CHECK(test::in_child([&] {
          test::pass_fds({tcp.get()}, "api");
          const std::string first = describe_taken();
          const bool gone = std::getenv("LISTEN_FDS") == nullptr &&
                            std::getenv("LISTEN_PID") == nullptr &&
                            std::getenv("LISTEN_FDNAMES") == nullptr;
          return first + "then " + (gone ? "gone " : "left ") + describe_taken();
        }) == "3:api then gone ");
}

TEST_CASE("sockets that were passed to another process are left alone") {
  const base::Fd tcp = make_socket(AF_INET, SOCK_STREAM, true);
  CHECK(test::in_child([&] {
          test::pass_fds({tcp.get()}, "api");
          ::setenv("LISTEN_PID", "1", 1);
          const std::string answer = describe_taken();
          return answer + (is_open(3) ? "open" : "closed");
        }) == "open");
}

TEST_CASE("a passed socket that does not listen is refused by name, and all are closed") {
  const base::Fd good = make_socket(AF_INET, SOCK_STREAM, true);
  const base::Fd idle = make_socket(AF_INET, SOCK_STREAM, false);
  CHECK(
      test::in_child([&] {
        test::pass_fds({good.get(), idle.get()}, "api:web");
        const std::string answer = describe_taken();
        return answer + (is_open(3) || is_open(4) ? ", open" : ", closed");
      }) ==
      "invalid: passed descriptor 4 \"web\" is not a listening TCP or unix stream socket, closed");
}

TEST_CASE("a datagram socket and a pipe are refused") {
  const base::Fd datagram = make_socket(AF_INET, SOCK_DGRAM, false);
  CHECK(test::in_child([&] {
          test::pass_fds({datagram.get()}, "api");
          return describe_taken();
        }) == "invalid: passed descriptor 3 \"api\" is not a listening TCP or unix stream socket");

  std::array<int, 2> ends{};
  REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
  const base::Fd out(ends[0]);
  const base::Fd in(ends[1]);
  CHECK(test::in_child([&] {
          test::pass_fds({out.get()}, "api");
          return describe_taken();
        }) == "invalid: passed descriptor 3 \"api\" is not a listening TCP or unix stream socket");
}

TEST_CASE("a count of sockets that is not true is an error") {
  const std::string answer = test::in_child([] {
    test::pass_fds({}, "");
    ::setenv("LISTEN_FDS", "many", 1);
    return describe_taken();
  });
  CHECK(answer.rfind("invalid: the sockets of LISTEN_FDS cannot be taken", 0) == 0);
}

}  // namespace
}  // namespace sc::systemd
