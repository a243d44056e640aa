#include <unistd.h>

#include <array>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/pipe.h"
#include "loop/loop.h"
#include "loop/mailbox.h"
#include "loop/poll.h"
#include "loop/timer.h"
#include "support/catch.h"
#include "support/loop_until.h"

namespace sc::test {
namespace {

using namespace std::chrono_literals;

// Takes time as a paused or busy process does: its clock goes on, its loop does not turn.
void let_pass(std::chrono::milliseconds duration) {
  const auto until = std::chrono::steady_clock::now() + duration;
  while (std::chrono::steady_clock::now() < until) {
  }
}

// A pipe that the loop reads; counts the bytes.
class Source {
 public:
  Source(loop::Loop& loop, std::size_t& bytes)
      : pipe_(base::open_pipe()), poll_(loop, pipe_.get(), [this, &bytes](loop::Ready) {
          std::array<char, 16> buffer{};
          const ssize_t got = ::read(pipe_.get(), buffer.data(), buffer.size());
          if (got > 0) bytes += static_cast<std::size_t>(got);
          if (on_read) on_read();
        }) {
    poll_.watch(true, false);
  }

  void put() const { REQUIRE(::write(pipe_.get(), "x", 1) == 1); }

  std::function<void()> on_read;

 private:
  base::Fd pipe_;
  loop::Poll poll_;
};

TEST_CASE("a due timer is called after all ready descriptors, also when one batch holds fewer") {
  constexpr std::size_t kSources = 1000;  // a batch holds 256
  loop::Loop loop;
  std::size_t bytes = 0;
  std::vector<std::unique_ptr<Source>> sources;
  for (std::size_t i = 0; i < kSources; ++i)
    sources.push_back(std::make_unique<Source>(loop, bytes));
  std::size_t seen = 0;
  bool fired = false;
  loop::Timer timer(loop, [&] {
    seen = bytes;
    fired = true;
  });
  timer.start(1ms);
  for (const auto& source : sources) source->put();
  let_pass(5ms);
  REQUIRE(loop_until(loop, [&] { return fired; }));
  CHECK(seen == kSources);
}

TEST_CASE("bytes that arrive during a pause of the process are read before a timer judges") {
  loop::Loop loop;
  std::size_t bytes = 0;
  Source first(loop, bytes);
  Source second(loop, bytes);
  std::size_t seen = 0;
  bool fired = false;
  loop::Timer timer(loop, [&] {
    seen = bytes;
    fired = true;
  });
  timer.start(20ms);
  first.on_read = [&] {  // this turn has its events already
    second.put();
    let_pass(40ms);
  };
  first.put();
  REQUIRE(loop_until(loop, [&] { return fired; }));
  CHECK(seen == 2);
}

TEST_CASE("bytes that are read before due timers count as of the time by which timers judge") {
  loop::Loop loop;
  std::size_t bytes = 0;
  Source source(loop, bytes);
  std::chrono::milliseconds read_at{0};
  source.on_read = [&] { read_at = loop.now(); };
  std::chrono::milliseconds silent{0};
  bool fired = false;
  loop::Timer other(loop, [] {});
  loop::Timer pause(loop, [&] {
    let_pass(30ms);  // a pause while timers are called
    other.start(1h);
  });
  loop::Timer judge(loop, [&] {
    silent = loop.now() - read_at;
    fired = true;
  });
  pause.start(1ms);
  judge.start(1ms);
  source.put();
  let_pass(5ms);
  REQUIRE(loop_until(loop, [&] { return fired; }));
  CHECK(silent == 0ms);
}

TEST_CASE("mail that was sent before a timer became due is delivered before the timer is called") {
  loop::Loop loop;
  std::string order;
  loop::Mailbox<int> inbox(loop, [&](int) { order += "mail "; });
  loop::Timer timer(loop, [&] { order += "timer"; });
  timer.start(1ms);
  inbox.send(1);
  let_pass(5ms);
  REQUIRE(loop_until(loop, [&] { return order.ends_with("timer"); }));
  CHECK(order == "mail timer");
}

TEST_CASE("a due timer that ready bytes stop, start or destroy is not called") {
  loop::Loop loop;
  std::size_t bytes = 0;
  Source source(loop, bytes);
  std::string called;
  loop::Timer stopped(loop, [&] { called += "stopped "; });
  loop::Timer started(loop, [&] { called += "started "; });
  auto destroyed = std::make_unique<loop::Timer>(loop, [&] { called += "destroyed "; });
  bool fired = false;
  loop::Timer last(loop, [&] { fired = true; });
  for (loop::Timer* each : {&stopped, &started, destroyed.get(), &last}) each->start(1ms);
  // This turn has its events already, and the timers become due in it.
  Source pause(loop, bytes);
  pause.on_read = [&] {
    let_pass(5ms);
    source.put();
  };
  source.on_read = [&] {
    CHECK(stopped.is_active());
    stopped.stop();
    CHECK_FALSE(stopped.is_active());
    started.start(1h);
    CHECK(started.is_active());
    destroyed.reset();
  };
  pause.put();
  REQUIRE(loop_until(loop, [&] { return fired; }));
  CHECK(called.empty());
}

TEST_CASE("a due timer may stop and destroy timers that are due with it") {
  loop::Loop loop;
  std::string called;
  std::unique_ptr<loop::Timer> second;
  loop::Timer third(loop, [&] { called += "third "; });
  loop::Timer first(loop, [&] {
    called += "first ";
    second.reset();
    third.stop();
  });
  second = std::make_unique<loop::Timer>(loop, [&] { called += "second "; });
  bool fired = false;
  loop::Timer last(loop, [&] { fired = true; });
  for (loop::Timer* each : {&first, second.get(), &third, &last}) each->start(1ms);
  let_pass(5ms);
  REQUIRE(loop_until(loop, [&] { return fired; }));
  CHECK(called == "first ");
}

TEST_CASE("descriptors that are always ready do not keep due timers from being called") {
  loop::Loop loop;
  std::size_t bytes = 0;
  std::vector<std::unique_ptr<Source>> sources;
  for (int i = 0; i < 300; ++i) {
    sources.push_back(std::make_unique<Source>(loop, bytes));
    sources.back()->on_read = [source = sources.back().get()] { source->put(); };
    sources.back()->put();
  }
  bool fired = false;
  loop::Timer timer(loop, [&] { fired = true; });
  timer.start(1ms);
  CHECK(loop_until(loop, [&] { return fired; }));
}

}  // namespace
}  // namespace sc::test
