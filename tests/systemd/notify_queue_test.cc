#include "systemd/notify_queue.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/pipe.h"
#include "support/catch.h"
#include "support/fd_count.h"
#include "support/loop_until.h"
#include "support/manual_clock.h"
#include "systemd/child.h"
#include "systemd/notify_flusher.h"
#include "systemd/notify_socket.h"

namespace sc::systemd {
namespace {

using State = NotifyQueue::State;
using std::chrono::milliseconds;

// A manager that does not read: its socket is full. Sent by others, as those of a whole host are.
struct FullManager {
  test::NotifySocket manager;
  test::ScopedEnvironment environment{"NOTIFY_SOCKET", manager.name()};
  test::ManualClock clock;
  NotifyQueue queue{clock};
  std::size_t filled = 0;

  FullManager() {
    NotifyQueue other(clock);
    const base::Fd fd = base::open_pipe();
    while (other.try_store("of another service", fd.get())) ++filled;
    REQUIRE(filled > 0);
  }

  // All that is there, without what filled it.
  std::vector<std::string> read() {
    std::vector<std::string> texts;
    while (auto text = manager.receive(milliseconds{0}))
      if (*text != "of another service") texts.push_back(*text);
    return texts;
  }
};

TEST_CASE_METHOD(FullManager, "a manager that does not read makes no call wait") {
  const base::Fd fd = base::open_pipe();
  CHECK_FALSE(queue.try_store("store", fd.get()));
  CHECK(queue.is_busy());
  queue.remove("remove");
  queue.store("store", base::open_pipe());
  queue.say(State::alive, "WATCHDOG=1");
  CHECK(queue.waiting() == 3);
  CHECK(queue.flush());
}

TEST_CASE_METHOD(FullManager, "changes of the store arrive in their order, after the states") {
  queue.remove("remove probe");
  queue.store("store probe", base::open_pipe());
  queue.remove("remove c0-1");
  queue.say(State::status, "STATUS=1");
  queue.say(State::ready, "READY=1");
  queue.say(State::alive, "WATCHDOG=1");
  queue.say(State::status, "STATUS=2");
  queue.say(State::alive, "WATCHDOG=1");
  CHECK(read().empty());
  CHECK_FALSE(queue.flush());
  CHECK(queue.waiting() == 0);
  CHECK(read() == std::vector<std::string>{"READY=1", "STATUS=2", "WATCHDOG=1", "remove probe",
                                           "store probe", "remove c0-1"});
}

TEST_CASE_METHOD(FullManager, "nothing is stored at once while an earlier change waits") {
  const base::Fd fd = base::open_pipe();
  queue.remove("remove c0-1");
  read();
  clock.advance(milliseconds{1});
  CHECK_FALSE(queue.try_store("store c0-2", fd.get()));  // its back-off
  clock.advance(NotifyQueue::kLastBackOff);
  CHECK_FALSE(queue.is_busy());
  CHECK(queue.try_store("store c0-2", fd.get()));
  CHECK(read() == std::vector<std::string>{"remove c0-1", "store c0-2"});
}

TEST_CASE_METHOD(FullManager, "a manager that does not read is asked less and less often") {
  const base::Fd fd = base::open_pipe();
  std::vector<milliseconds> waits;
  for (int i = 0; i < 10; ++i) {
    CHECK_FALSE(queue.try_store("store", fd.get()));
    milliseconds waited{0};
    for (; queue.is_busy(); ++waited) clock.advance(milliseconds{1});
    waits.push_back(waited);
  }
  CHECK(waits.front() == NotifyQueue::kFirstBackOff);
  CHECK(waits[1] == 2 * NotifyQueue::kFirstBackOff);
  CHECK(waits.back() == NotifyQueue::kLastBackOff);
  read();
  CHECK(queue.try_store("store", fd.get()));
  CHECK_FALSE(queue.busy_since());
}

TEST_CASE_METHOD(FullManager, "a store that waits holds its descriptor, and closes it once sent") {
  const std::size_t before = test::fd_count();
  queue.store("store c0-1", base::open_pipe());
  CHECK(test::fd_count() == before + 1);
  read();
  CHECK_FALSE(queue.flush());
  const auto message = manager.received_with_fd();
  CHECK(message.text == "store c0-1");
  CHECK(message.fd);
  CHECK(test::fd_count() == before + 1);  // the manager's
}

TEST_CASE_METHOD(FullManager, "a manager that does not read for long is one line, its return one") {
  std::vector<std::string> lines;
  base::log::set_sink([&](base::log::Level, std::string_view sentence,
                          std::span<const base::log::Field>) { lines.emplace_back(sentence); });
  queue.remove("remove");
  CHECK(lines.empty());
  for (int i = 0; i < 20; ++i) {
    clock.advance(NotifyQueue::kLastBackOff);
    queue.flush();
  }
  CHECK(queue.busy_since());
  CHECK(lines == std::vector<std::string>{"the service manager takes no messages"});
  read();
  queue.flush();
  base::log::set_sink({});
  CHECK(lines.size() == 2);
  CHECK(lines.back() == "the service manager takes messages again");
}

TEST_CASE_METHOD(FullManager, "the flusher sends what waits as soon as the manager reads") {
  loop::Loop loop;
  const NotifyFlusher flusher(loop, queue);
  queue.remove("remove c0-1");
  test::turn(loop);
  CHECK(queue.waiting() == 1);
  read();
  REQUIRE(test::loop_until_seen(loop, [&] { return queue.waiting() == 0; }));
  CHECK(read() == std::vector<std::string>{"remove c0-1"});
}

TEST_CASE_METHOD(FullManager, "the flusher sends what began to wait before it was made") {
  queue.remove("remove c0-1");
  loop::Loop loop;
  const NotifyFlusher flusher(loop, queue);
  read();
  REQUIRE(test::loop_until_seen(loop, [&] { return queue.waiting() == 0; }));
}

}  // namespace
}  // namespace sc::systemd
