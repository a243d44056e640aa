#include "loop/mailbox.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "base/fd.h"
#include "loop/poll.h"
#include "support/catch.h"
#include "support/fd_count.h"
#include "support/loop_until.h"

namespace sc::test {
namespace {

struct Numbered {
  int sender = 0;
  int place = 0;
};

TEST_CASE("messages of four threads all arrive, each thread's in its order") {
  constexpr int kSenders = 4;
  constexpr int kEach = 10'000;
  loop::Loop loop;
  const auto here = std::this_thread::get_id();
  std::vector<int> next(kSenders, 0);
  int received = 0;
  int out_of_order = 0;
  int elsewhere = 0;
  loop::Mailbox<Numbered> inbox(loop, [&](Numbered message) {
    ++received;
    if (message.place != next.at(static_cast<std::size_t>(message.sender))++) ++out_of_order;
    if (std::this_thread::get_id() != here) ++elsewhere;
  });
  std::vector<std::thread> senders;
  for (int sender = 0; sender < kSenders; ++sender)
    senders.emplace_back([&inbox, sender] {
      for (int place = 0; place < kEach; ++place) inbox.send({sender, place});
    });
  const bool all = loop_until(loop, [&] { return received == kSenders * kEach; });
  for (std::thread& sender : senders) sender.join();
  REQUIRE(all);
  CHECK(out_of_order == 0);
  CHECK(elsewhere == 0);
}

TEST_CASE("two loops on two threads play ping-pong") {
  constexpr int kRounds = 1000;
  loop::Loop here;
  int last = 0;
  loop::Mailbox<int>* to_there = nullptr;
  loop::Mailbox<int> inbox(here, [&](int number) {
    last = number;
    to_there->send(number + 1);
  });
  loop::Loop there;
  loop::Mailbox<int> outbox(there, [&](int number) {
    if (number > kRounds) {
      there.stop();
    } else {
      inbox.send(number);
    }
  });
  to_there = &outbox;
  std::thread thread([&] { there.run(); });
  outbox.send(1);
  const bool done = loop_until(here, [&] { return last == kRounds; });
  thread.join();
  CHECK(done);
}

TEST_CASE("a message sent by the handler arrives in a later turn") {
  loop::Loop loop;
  int received = 0;
  bool inside = false;
  int nested = 0;
  loop::Mailbox<int>* self = nullptr;
  loop::Mailbox<int> inbox(loop, [&](int left) {
    if (inside) ++nested;
    inside = true;
    ++received;
    if (left > 0) self->send(left - 1);
    inside = false;
  });
  self = &inbox;
  inbox.send(5);
  CHECK(received == 0);
  REQUIRE(loop_until(loop, [&] { return received == 6; }));
  CHECK(nested == 0);
}

TEST_CASE("mail can be had before a turn's events, also when it ends who waits for one of them") {
  loop::Loop loop;
  std::string seen;
  std::array<int, 2> pipe{};
  REQUIRE(::pipe2(pipe.data(), O_CLOEXEC | O_NONBLOCK) == 0);
  const base::Fd in(pipe[0]);
  const base::Fd out(pipe[1]);
  std::optional<loop::Poll> stays(std::in_place, loop, in.get(), [&](loop::Ready) { seen += "r"; });
  std::optional<loop::Poll> goes(std::in_place, loop, out.get(), [&](loop::Ready) { seen += "w"; });
  loop::Mailbox<char> inbox(loop, [&](char message) {
    seen += message;
    goes.reset();
  });
  loop.set_first([&] { inbox.deliver(); });
  REQUIRE(::write(out.get(), "x", 1) == 1);
  stays->watch(true, false);
  goes->watch(false, true);
  inbox.send('m');
  loop.run_once(true);
  CHECK(seen == "mr");
}

TEST_CASE("a mailbox carries different messages, and what only moves") {
  struct Adopt {
    base::Fd fd;
  };
  using Command = std::variant<Adopt, std::string>;
  loop::Loop loop;
  base::Fd adopted;
  std::string text;
  loop::Mailbox<Command> inbox(loop, [&](Command command) {
    if (auto* adopt = std::get_if<Adopt>(&command)) adopted = std::move(adopt->fd);
    if (auto* said = std::get_if<std::string>(&command)) text = *said;
  });
  base::Fd fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const int raw = fd.get();
  inbox.send(Adopt{std::move(fd)});
  inbox.send(std::string("hello"));
  REQUIRE(loop_until(loop, [&] { return !text.empty(); }));
  CHECK(adopted.get() == raw);
}

TEST_CASE("descriptors that were never delivered are closed with the mailbox") {
  loop::Loop loop;
  auto inbox = std::make_unique<loop::Mailbox<base::Fd>>(loop, [](base::Fd) {});
  const std::size_t before = fd_count();
  for (int i = 0; i < 10; ++i) inbox->send(base::Fd(::open("/dev/null", O_RDONLY | O_CLOEXEC)));
  CHECK(fd_count() == before + 10);
  inbox.reset();
  CHECK(fd_count() == before);
}

TEST_CASE("several wake-ups before the loop turns are one call") {
  loop::Loop loop;
  int calls = 0;
  loop::Wakeup wakeup(loop, [&] { ++calls; });
  wakeup.wake();
  wakeup.wake();
  CHECK(calls == 0);
  REQUIRE(loop_until(loop, [&] { return calls > 0; }));
  turn(loop);
  CHECK(calls == 1);
  wakeup.wake();
  CHECK(loop_until(loop, [&] { return calls == 2; }));
}

TEST_CASE("a wake-up ends the wait of a loop that has nothing else to do") {
  loop::Loop loop;
  loop::Wakeup wakeup(loop, [&] { loop.stop(); });
  std::thread waker([&] { wakeup.wake(); });
  loop.run();
  waker.join();
}

TEST_CASE("a wake-up may be destroyed in its own callback, and while one is on its way") {
  loop::Loop loop;
  std::optional<loop::Wakeup> own;
  own.emplace(loop, [&] { own.reset(); });
  own->wake();
  REQUIRE(loop_until(loop, [&] { return !own; }));

  bool called = false;
  own.emplace(loop, [&] { called = true; });
  own->wake();
  own.reset();
  turn(loop);
  CHECK_FALSE(called);
}

}  // namespace
}  // namespace sc::test
