#include "relay/admission.h"

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "relay/pipe_pool.h"
#include "support/catch.h"

namespace sc::test {
namespace {

using relay::Admission;
using relay::AdmissionLimits;
using relay::Room;
using relay::StreamCounters;

struct AdmissionFixture {
  int rooms = 0;
  StreamCounters one;
  StreamCounters other;

  AdmissionLimits limits(std::size_t sessions, std::size_t per_stream, std::size_t descriptors) {
    AdmissionLimits out;
    out.sessions = sessions;
    out.sessions_per_stream = per_stream;
    out.descriptors = descriptors;
    return out;
  }
};

constexpr std::size_t kNone = AdmissionLimits::kNone;

TEST_CASE_METHOD(AdmissionFixture, "without limits everybody is let in") {
  Admission admission({}, [&] { ++rooms; });
  for (int i = 0; i < 1000; ++i) CHECK(admission.enter(one) == Room::granted);
  CHECK(admission.sessions() == 1000);
  CHECK(admission.refusals() == 0);
}

TEST_CASE_METHOD(AdmissionFixture, "at the limit of all sessions the next waits for any to end") {
  Admission admission(limits(2, kNone, kNone), [&] { ++rooms; });
  CHECK(admission.enter(one) == Room::granted);
  CHECK(admission.enter(other) == Room::granted);
  CHECK(admission.enter(one) == Room::no_session);
  CHECK_FALSE(admission.leave(other));
  CHECK(rooms == 1);
  CHECK(admission.enter(one) == Room::granted);
  admission.leave(one);
  CHECK(rooms == 1);  // nobody waits any more
}

TEST_CASE_METHOD(AdmissionFixture, "who has to wait is counted by what was missing") {
  Admission admission({}, [] {});
  admission.count_refusal(one, Room::no_session);
  admission.count_refusal(one, Room::no_descriptor);
  admission.count_refusal(other, Room::no_descriptor);
  admission.count_refusal(other, Room::stream_full);
  CHECK(admission.refusals(Room::no_session) == 1);
  CHECK(admission.refusals(Room::no_descriptor) == 2);
  CHECK(admission.refusals(Room::stream_full) == 1);
  CHECK(admission.refusals() == 4);
  CHECK(one.refusals == 2);
}

TEST_CASE("a listener waits, for one thing, until its wait is over") {
  Admission admission({}, [] {});
  Admission::Wait first = admission.begin_wait(Room::no_session);
  {
    const Admission::Wait second = admission.begin_wait(Room::no_session);
    CHECK(admission.waiting(Room::no_session) == 2);
  }
  CHECK(admission.waiting(Room::no_session) == 1);
  first = admission.begin_wait(Room::stream_full);
  CHECK(admission.waiting(Room::no_session) == 0);
  CHECK(admission.waiting(Room::stream_full) == 1);
  first.reset();
  CHECK(admission.waiting(Room::stream_full) == 0);
}

TEST_CASE_METHOD(AdmissionFixture, "a stream at its own limit holds up no other") {
  Admission admission(limits(kNone, 1, kNone), [&] { ++rooms; });
  CHECK(admission.enter(one) == Room::granted);
  CHECK(admission.enter(one) == Room::stream_full);
  CHECK(admission.enter(other) == Room::granted);
  CHECK_FALSE(admission.leave(other));
  CHECK(admission.leave(one));  // its client waits
  CHECK(rooms == 0);
  CHECK(admission.sessions() == 0);
}

TEST_CASE_METHOD(AdmissionFixture, "a session takes two descriptors, a listener one") {
  Admission admission(limits(kNone, kNone, 5), [&] { ++rooms; });
  admission.add_listener();
  CHECK(admission.enter(one) == Room::granted);
  CHECK(admission.enter(one) == Room::granted);
  CHECK_FALSE(admission.has_descriptors(1));
  CHECK(admission.enter(one) == Room::no_descriptor);
  CHECK(admission.sessions() == 2);
  admission.remove_listener();
  CHECK(rooms == 1);
  CHECK(admission.enter(one) == Room::no_descriptor);
  admission.leave(one);
  CHECK(rooms == 2);
  CHECK(admission.enter(one) == Room::granted);
}

TEST_CASE_METHOD(AdmissionFixture, "a few of the descriptors are for listeners alone") {
  Admission admission(limits(kNone, kNone, 32), [&] { ++rooms; });
  CHECK(admission.places() == 15);
  while (admission.enter(one) == Room::granted) {
  }
  while (admission.enter(other) == Room::granted) {
  }
  CHECK(admission.sessions() == 15);
  CHECK(admission.has_descriptors(2));
  CHECK_FALSE(admission.has_descriptors(3));
}

TEST_CASE_METHOD(AdmissionFixture, "the last quarter of the descriptors is not for pipes") {
  Admission admission(limits(kNone, kNone, 8), [&] { ++rooms; });
  for (int i = 0; i < 6; ++i) CHECK(admission.take_pipe());
  CHECK_FALSE(admission.take_pipe());
  CHECK(admission.enter(one) == Room::granted);
  CHECK(admission.enter(one) == Room::no_descriptor);
  admission.give_pipe();
  CHECK(rooms == 1);
  CHECK(admission.descriptors() == 7);
}

TEST_CASE_METHOD(AdmissionFixture, "a stream with many sessions leaves an eighth of the places") {
  const bool by_descriptors = GENERATE(false, true);
  // 512 descriptors, of which 32 are for listeners alone, are 240 places.
  Admission admission(by_descriptors ? limits(kNone, kNone, 512) : limits(240, kNone, kNone),
                      [&] { ++rooms; });
  const Room missing = by_descriptors ? Room::no_descriptor : Room::no_session;
  CHECK(admission.places() == 240);
  CHECK(admission.reserved() == 30);
  CHECK(admission.few() == 16);
  std::size_t many = 0;
  while (admission.enter(one) == Room::granted) ++many;
  CHECK(many == 210);
  CHECK(admission.enter(one) == missing);
  std::size_t few = 0;
  while (admission.enter(other) == Room::granted) ++few;
  CHECK(few == 16);
  CHECK(admission.enter(other) == missing);
  StreamCounters third;
  for (int i = 0; i < 14; ++i) CHECK(admission.enter(third) == Room::granted);
  CHECK(admission.sessions() == 240);
  CHECK(admission.enter(third) == missing);
}

TEST_CASE_METHOD(AdmissionFixture, "pipes of one stream's sessions do not take the reserve") {
  Admission admission(limits(kNone, kNone, 512), [&] { ++rooms; });
  for (int i = 0; i < 100; ++i) CHECK(admission.enter(one) == Room::granted);
  while (admission.take_pipe()) {
  }
  while (admission.enter(one) == Room::granted) {
  }
  for (int i = 0; i < 16; ++i) CHECK(admission.enter(other) == Room::granted);
}

// A session counts two descriptors. One whose backend has many silent addresses would have ten.
TEST_CASE_METHOD(AdmissionFixture, "further attempts of a dial take descriptors, but no reserve") {
  Admission admission(limits(kNone, kNone, 512), [&] { ++rooms; });
  for (int i = 0; i < 100; ++i) CHECK(admission.enter(one) == Room::granted);
  int attempts = 0;
  while (admission.take_attempt()) ++attempts;
  CHECK(attempts == 184);  // up to three quarters
  while (admission.enter(one) == Room::granted) {
  }
  for (int i = 0; i < 16; ++i) CHECK(admission.enter(other) == Room::granted);
  for (int i = 0; i < attempts; ++i) admission.give_attempt();
  CHECK(admission.enter(one) == Room::granted);
}

TEST_CASE_METHOD(AdmissionFixture, "a stream refused for the reserve is woken by each leave") {
  Admission admission(limits(16, kNone, kNone), [&] { ++rooms; });
  CHECK(admission.few() == 2);
  while (admission.enter(one) == Room::granted) {
  }
  CHECK(admission.sessions() == 14);
  CHECK(admission.enter(other) == Room::granted);
  admission.leave(other);
  CHECK(rooms == 1);
  CHECK(admission.enter(one) == Room::no_session);
  admission.leave(one);
  CHECK(rooms == 2);
  CHECK(admission.enter(one) == Room::granted);
}

TEST_CASE_METHOD(AdmissionFixture, "a stream whose sessions ended has few again") {
  Admission admission(limits(16, kNone, kNone), [&] { ++rooms; });
  while (admission.enter(one) == Room::granted) {
  }
  CHECK(admission.enter(other) == Room::granted);
  CHECK(admission.enter(other) == Room::granted);
  CHECK(admission.sessions() == 16);
  CHECK(admission.enter(other) == Room::no_session);
  for (int i = 0; i < 14; ++i) admission.leave(one);
  while (admission.enter(other) == Room::granted) {
  }
  CHECK(admission.sessions() == 14);
  CHECK(admission.enter(one) == Room::granted);
}

TEST_CASE_METHOD(AdmissionFixture, "fewer than eight places have no reserve") {
  Admission admission(limits(7, kNone, kNone), [&] { ++rooms; });
  CHECK(admission.reserved() == 0);
  for (int i = 0; i < 7; ++i) CHECK(admission.enter(one) == Room::granted);
}

TEST_CASE_METHOD(AdmissionFixture, "a pool asks for the pipes beyond those that it keeps") {
  Admission admission(limits(kNone, kNone, 8), [&] { ++rooms; });
  relay::PipePool pool(&admission);
  std::vector<relay::Pipe> pipes;
  while (auto pipe = pool.take()) pipes.push_back(std::move(*pipe));
  CHECK(pipes.size() == relay::PipePool::kKept + 6);
  CHECK(admission.descriptors() == 6);
  for (relay::Pipe& pipe : pipes) pool.give_back(std::move(pipe));
  pipes.clear();
  CHECK(admission.descriptors() == 0);
  CHECK(pool.at_rest() == relay::PipePool::kKept);
}

TEST_CASE("pipes that nobody took since the last trim are closed") {
  relay::PipePool pool;
  pool.give_back(*pool.take());
  pool.trim();
  CHECK(pool.at_rest() == 1);
  pool.trim();
  CHECK(pool.at_rest() == 0);
}

// One thread's stream has many sessions and may not take the reserved places, the others have few:
// no thread waits for a wake-up that does not come.
TEST_CASE("no wake-up is lost between streams with many and with few sessions") {
  constexpr int kThreads = 3;
  constexpr int kTurns = 2000;
  std::atomic<int> rooms{0};
  AdmissionLimits limits;
  limits.sessions = 16;  // two of them reserved
  Admission admission(limits, [&] { ++rooms; });
  StreamCounters greedy;
  for (int i = 0; i < 13; ++i) REQUIRE(admission.enter(greedy) == Room::granted);
  std::vector<StreamCounters> streams(kThreads - 1);
  std::atomic<bool> forgotten{false};
  const auto enter = [&](StreamCounters& stream) {
    int seen = rooms.load();
    while (admission.enter(stream) != Room::granted) {
      const auto late = std::chrono::steady_clock::now() + std::chrono::seconds(10);
      while (rooms.load() == seen && !forgotten) {
        std::this_thread::yield();
        if (std::chrono::steady_clock::now() > late) forgotten = true;
      }
      if (forgotten) return;
      seen = rooms.load();
    }
  };
  std::vector<std::thread> threads;
  const auto run = [&](StreamCounters& stream) {
    threads.emplace_back([&] {
      for (int turn = 0; turn < kTurns && !forgotten; ++turn) {
        enter(stream);
        if (!forgotten) admission.leave(stream);
      }
    });
  };
  run(greedy);
  for (StreamCounters& stream : streams) run(stream);
  for (std::thread& thread : threads) thread.join();
  CHECK_FALSE(forgotten);
  CHECK(admission.sessions() == 13);
}

// Threads that enter and leave, each with a stream of its own as each worker has, at a limit that
// is one less than they are: whoever was refused is told, or gets in.
TEST_CASE("no wake-up is lost between threads that wait and threads that leave") {
  constexpr int kThreads = 4;
  constexpr int kTurns = 2000;
  const bool by_descriptors = GENERATE(false, true);
  std::atomic<int> rooms{0};
  AdmissionLimits limits;
  limits.sessions = by_descriptors ? 100 : kThreads - 1;
  if (by_descriptors) limits.descriptors = 2 * (kThreads - 1) + 1;
  limits.sessions_per_stream = 1;
  Admission admission(limits, [&] { ++rooms; });
  std::vector<StreamCounters> streams(kThreads);
  std::atomic<bool> forgotten{false};
  std::vector<std::thread> threads;
  for (StreamCounters& stream : streams)
    threads.emplace_back([&] {
      for (int turn = 0; turn < kTurns; ++turn) {
        int seen = rooms.load();
        while (admission.enter(stream) != Room::granted) {
          const auto late = std::chrono::steady_clock::now() + std::chrono::seconds(10);
          while (rooms.load() == seen && !forgotten) {  // as one that sleeps until told
            std::this_thread::yield();
            if (std::chrono::steady_clock::now() > late) forgotten = true;
          }
          if (forgotten) return;
          seen = rooms.load();
        }
        // A stream that is full gives nothing back: nobody is to be refused for it.
        if (admission.enter(stream) != Room::stream_full) forgotten = true;
        admission.leave(stream);
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK_FALSE(forgotten);
  CHECK(admission.sessions() == 0);
}

}  // namespace
}  // namespace sc::test
