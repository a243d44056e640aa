#include "systemd/fd_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <memory>

#include "base/clock.h"
#include "support/catch.h"
#include "support/temp_dir.h"
#include "systemd/child.h"
#include "systemd/listen_fds.h"
#include "systemd/notify_socket.h"

namespace sc::systemd {
namespace {

struct PipeEnds {
  base::Fd out;
  base::Fd in;
};

PipeEnds make_pipe() {
  std::array<int, 2> ends{};
  REQUIRE(::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) == 0);
  return {base::Fd(ends[0]), base::Fd(ends[1])};
}

FdStore test_store() {
  static const base::SystemClock clock;
  return FdStore(std::make_shared<NotifyQueue>(clock));
}

TEST_CASE("without NOTIFY_SOCKET there is no store") {
  CHECK_FALSE(FdStore::is_there());
  CHECK_FALSE(test_store().put("table", 0));
  test_store().remove("table");
}

TEST_CASE("what is put goes to the manager by its name, and stays though it hangs up") {
  test::NotifySocket manager;
  const test::ScopedEnvironment environment("NOTIFY_SOCKET", manager.name());
  CHECK(FdStore::is_there());
  PipeEnds pipe = make_pipe();
  CHECK(test_store().put("table", pipe.in.get()));
  const auto message = manager.received_with_fd();
  CHECK(message.text == "FDSTORE=1\nFDPOLL=0\nFDNAME=kept-table");
  REQUIRE(message.fd);
  pipe.in.reset();
  REQUIRE(::write(message.fd.get(), "x", 1) == 1);
  char got = 0;
  CHECK(::read(pipe.out.get(), &got, 1) == 1);
}

TEST_CASE("what is removed is named to the manager") {
  test::NotifySocket manager;
  const test::ScopedEnvironment environment("NOTIFY_SOCKET", manager.name());
  test_store().remove("c0-17");
  const auto message = manager.received_with_fd();
  CHECK(message.text == "FDSTOREREMOVE=1\nFDNAME=kept-c0-17");
  CHECK_FALSE(message.fd);
}

TEST_CASE("one store tells a manager of many descriptors, by a path as well") {
  const test::TempDir folder;
  test::NotifySocket manager(folder.path() / "notify");
  const test::ScopedEnvironment environment("NOTIFY_SOCKET", manager.name());
  const FdStore store = test_store();
  const PipeEnds pipe = make_pipe();
  for (int i = 0; i < 3; ++i) {
    CHECK(store.put("c0-" + std::to_string(i), pipe.in.get()));
    store.remove("c0-" + std::to_string(i));
  }
  for (int i = 0; i < 3; ++i)
    for (const std::string what : {"FDSTORE=1\nFDPOLL=0", "FDSTOREREMOVE=1"})
      CHECK(manager.received() == what + "\nFDNAME=kept-c0-" + std::to_string(i));
}

TEST_CASE("a path that is too long for a socket is nobody to ask") {
  const test::ScopedEnvironment environment("NOTIFY_SOCKET", "/" + std::string(5000, 'x'));
  const PipeEnds pipe = make_pipe();
  CHECK_FALSE(test_store().put("table", pipe.in.get()));
}

TEST_CASE("a manager that has gone takes nothing") {
  std::string name;
  {
    const test::NotifySocket manager;
    name = manager.name();
  }
  const test::ScopedEnvironment environment("NOTIFY_SOCKET", name);
  const PipeEnds pipe = make_pipe();
  CHECK_FALSE(test_store().put("table", pipe.in.get()));
}

std::string describe_taken() {
  auto taken = take_passed_fds();
  if (!taken) return taken.error().message;
  std::string text;
  for (const PassedFd& passed : *taken) {
    const bool is_closed_on_exec = (::fcntl(passed.fd.get(), F_GETFD) & FD_CLOEXEC) != 0;
    text += passed.name + (passed.is_stored ? " is stored" : " is passed") +
            (is_closed_on_exec ? "; " : ", not close-on-exec; ");
  }
  return text;
}

TEST_CASE("what comes from the store is told from passed sockets and need not listen") {
  const base::Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  REQUIRE(::listen(socket.get(), 1) == 0);
  const PipeEnds pipe = make_pipe();
  const base::Fd file(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  CHECK(test::in_child([&] {
          test::pass_fds({pipe.in.get(), socket.get(), file.get()}, "kept-table:api:kept-c0-1");
          return describe_taken();
        }) == "table is stored; api is passed; c0-1 is stored; ");
}

TEST_CASE("what comes from the store is left as it is, blocking or not") {
  PipeEnds pipe = make_pipe();
  CHECK(test::in_child([&] {
          test::pass_fds({pipe.in.get(), pipe.out.get()}, "kept-a:kept-b");
          ::fcntl(4, F_SETFL, 0);
          const auto taken = take_passed_fds();
          if (!taken) return std::string("error");
          const auto blocks = [&](std::size_t i) {
            return (::fcntl((*taken)[i].fd.get(), F_GETFL) & O_NONBLOCK) == 0;
          };
          return std::string(blocks(0) ? "blocks" : "does not") +
                 (blocks(1) ? ", blocks" : ", does not");
        }) == "does not, blocks");
}

TEST_CASE("a name that only looks like one of the store's is a socket's") {
  const PipeEnds pipe = make_pipe();
  CHECK(test::in_child([&] {
          test::pass_fds({pipe.in.get()}, "kept");
          return describe_taken();
        }) == "passed descriptor 3 \"kept\" is not a listening TCP or unix stream socket");
}

}  // namespace
}  // namespace sc::systemd
