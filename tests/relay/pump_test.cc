#include "relay/pump.h"

#include <sys/resource.h>

#include <vector>

#include "relay/tcp_pair.h"
#include "support/catch.h"

namespace sc::test {
namespace {

using relay::Pump;

// source.far -> source.near -> pump -> sink.near -> sink.far
struct PumpFixture {
  TcpPair source = make_tcp_pair();
  TcpPair sink = make_tcp_pair();
  relay::PipePool pipes;
  std::vector<std::byte> buffer{Pump::kBuffer};
  Pump pump{{buffer, &pipes}};

  std::size_t step() { return pump.step(source.near.get(), sink.near.get()); }

  // Lets all of `bytes` through with both ends working, and gives what came out.
  std::string carry(std::string_view bytes) {
    std::string out;
    const std::size_t whole = bytes.size();
    while (out.size() < whole) {
      if (!bytes.empty()) bytes.remove_prefix(send_some(source.far, bytes));
      if (pump.wants_read() || pump.wants_write()) step();
      REQUIRE_FALSE(pump.is_over());
      out += receive_some(sink.far).bytes;
    }
    return out;
  }
};

// No descriptor is left for a new pipe while this lives.
struct NoMoreDescriptors {
  NoMoreDescriptors() {
    ::getrlimit(RLIMIT_NOFILE, &before);
    rlimit now = before;
    now.rlim_cur = 0;
    ::setrlimit(RLIMIT_NOFILE, &now);
  }
  ~NoMoreDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before); }
  rlimit before{};
};

TEST_CASE_METHOD(PumpFixture, "a small message goes through without a pipe being held") {
  send_all(source.far, "hello");
  wait_for(source.near.get(), POLLIN);
  CHECK(step() == 5);
  CHECK(pump.wants_read());
  CHECK_FALSE(pump.wants_write());
  wait_for(sink.far.get(), POLLIN);
  CHECK(receive_some(sink.far).bytes == "hello");
}

TEST_CASE_METHOD(PumpFixture, "nothing to read is no end") {
  CHECK(step() == 0);
  CHECK(pump.state() == Pump::State::flowing);
  CHECK(pump.wants_read());
}

TEST_CASE_METHOD(PumpFixture, "bulk arrives as it was sent") {
  const std::string bytes = pattern(24 * 1024 * 1024);
  CHECK(carry(bytes) == bytes);
}

TEST_CASE_METHOD(PumpFixture, "bulk arrives as it was sent when the host gives no pipe") {
  const std::string bytes = pattern(8 * 1024 * 1024);
  const NoMoreDescriptors limit;
  CHECK(carry(bytes) == bytes);
  CHECK(pipes.at_rest() == 0);
}

TEST_CASE_METHOD(PumpFixture,
                 "small, large, small again: every mix of copying and splicing is exact") {
  const std::string bytes = pattern(6 * 1024 * 1024);
  std::string out;
  std::size_t at = 0;
  for (std::size_t size = 1; at < bytes.size(); size = size * 7 % 70'001 + 1) {
    const auto piece = std::string_view(bytes).substr(at, size);
    out += carry(piece);
    at += piece.size();
  }
  CHECK(out == bytes);
}

// splice(2) stops before an urgent byte, and answers 0 there once the end has arrived as well.
TEST_CASE_METHOD(PumpFixture, "an urgent byte in the middle of bulk is not taken for the end") {
  const std::string before = carry(pattern(4 * Pump::kBuffer));
  std::string bulk = pattern(3 * Pump::kBuffer);
  send_all(source.far, bulk);
  REQUIRE(::send(source.far.get(), "!", 1, MSG_OOB) == 1);
  send_all(source.far, "after");
  end_writes(source.far);
  std::string out;
  for (int turns = 0; turns < 1000 && !pump.is_over(); ++turns) {
    step();
    out += receive_some(sink.far).bytes;
  }
  CHECK(pump.state() == Pump::State::finished);
  out += receive_some(sink.far).bytes;
  CHECK(out == bulk + "!after");
}

TEST_CASE_METHOD(PumpFixture, "a sink that is full stops the reading, and takes the rest later") {
  const std::string bytes = pattern(64 * 1024 * 1024);
  std::string_view rest = bytes;
  int idle = 0;
  while (idle < 50) {  // until neither side moves
    const std::size_t sent = send_some(source.far, rest);
    rest.remove_prefix(sent);
    const std::size_t moved = pump.wants_read() || pump.wants_write() ? step() : 0;
    idle = sent + moved == 0 ? idle + 1 : 0;
  }
  CHECK_FALSE(pump.wants_read());
  CHECK(pump.wants_write());
  REQUIRE_FALSE(rest.empty());

  std::string out;
  while (out.size() < bytes.size()) {
    rest.remove_prefix(rest.empty() ? 0 : send_some(source.far, rest));
    step();
    out += receive_some(sink.far).bytes;
  }
  CHECK(out == bytes);
}

TEST_CASE_METHOD(PumpFixture, "one-byte segments that fill a pipe's slots are no busy loop") {
  // 16 KiB first, so that the pump splices what follows.
  const std::string head = pattern(64 * 1024);
  std::string out = carry(head);
  std::string bytes = pattern(4096);
  for (const char& byte : bytes) send_all(source.far, {&byte, 1});
  int steps = 0;
  while (out.size() < head.size() + bytes.size()) {
    if (step() == 0) {
      wait_for(pump.wants_write() ? sink.near.get() : source.near.get(),
               pump.wants_write() ? POLLOUT : POLLIN);
    }
    REQUIRE(++steps < 10'000);
    out += receive_some(sink.far).bytes;
  }
  CHECK(out == head + bytes);
}

TEST_CASE_METHOD(PumpFixture, "the end arrives behind the last byte") {
  send_all(source.far, "last");
  end_writes(source.far);
  while (!pump.is_over()) {
    wait_for(source.near.get(), POLLIN);
    step();
  }
  CHECK(pump.state() == Pump::State::finished);
  Received got;
  while (!got.ended) {
    wait_for(sink.far.get(), POLLIN);
    const Received more = receive_some(sink.far);
    got.bytes += more.bytes;
    got.ended = more.ended;
  }
  CHECK(got.bytes == "last");
}

TEST_CASE_METHOD(PumpFixture, "the end before the first byte is passed on") {
  end_writes(source.far);
  wait_for(source.near.get(), POLLIN);
  step();
  CHECK(pump.state() == Pump::State::finished);
  wait_for(sink.far.get(), POLLIN);
  CHECK(receive_some(sink.far).ended);
}

TEST_CASE_METHOD(PumpFixture, "an end that is withheld is not told to the sink") {
  pump.withhold_end();
  end_writes(source.far);
  wait_for(source.near.get(), POLLIN);
  step();
  CHECK(pump.state() == Pump::State::finished);
  CHECK_FALSE(receive_some(sink.far).ended);
}

TEST_CASE_METHOD(PumpFixture, "a reset source is the source's fault") {
  reset(source.far);
  wait_for_hangup(source.near.get());
  step();
  CHECK(pump.fault() == Pump::Fault::source);
  CHECK(pump.error() == ECONNRESET);
}

TEST_CASE_METHOD(PumpFixture, "a reset sink is the sink's fault") {
  reset(sink.far);
  wait_for_hangup(sink.near.get());
  send_all(source.far, "for nobody");
  wait_for(source.near.get(), POLLIN);
  step();
  CHECK(pump.fault() == Pump::Fault::sink);
}

TEST_CASE("a pool lends its largest pipe first and keeps only so many") {
  relay::PipePool pool;
  auto small = pool.take();
  auto large = pool.take();
  REQUIRE(small);
  REQUIRE(large);
  pool.grow(*large);
  const std::size_t grown = large->capacity;
  CHECK(grown >= small->capacity);
  pool.give_back(std::move(*large));
  pool.give_back(std::move(*small));
  CHECK(pool.at_rest() == 2);
  CHECK(pool.take()->capacity == grown);
  std::vector<relay::Pipe> many;
  for (std::size_t i = 0; i < relay::PipePool::kKept + 5; ++i) {
    auto pipe = pool.take();
    REQUIRE(pipe);
    many.push_back(std::move(*pipe));
  }
  for (auto& pipe : many) pool.give_back(std::move(pipe));
  CHECK(pool.at_rest() == relay::PipePool::kKept);
}

TEST_CASE("a pool keeps its largest pipes when more come back than it keeps") {
  relay::PipePool pool;
  std::vector<relay::Pipe> many;
  for (std::size_t i = 0; i <= relay::PipePool::kKept; ++i) many.push_back(*pool.take());
  pool.grow(many.back());
  const std::size_t grown = many.back().capacity;
  REQUIRE(grown > many.front().capacity);
  for (auto& pipe : many) pool.give_back(std::move(pipe));
  CHECK(pool.at_rest() == relay::PipePool::kKept);
  CHECK(pool.take()->capacity == grown);
}

TEST_CASE("a pool that was refused a pipe asks again after a while") {
  relay::PipePool pool;
  {
    const NoMoreDescriptors shortage;
    CHECK_FALSE(pool.has_spare());
  }
  unsigned calls = 0;
  while (!pool.has_spare()) REQUIRE(++calls <= relay::PipePool::kRefusedCalls);
  CHECK(calls == relay::PipePool::kRefusedCalls);
}

}  // namespace
}  // namespace sc::test
