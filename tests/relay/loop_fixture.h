#pragma once

#include <string>

#include "loop/loop.h"
#include "relay/tcp_pair.h"
#include "support/catch.h"
#include "support/loop_until.h"

namespace sc::test {

// A loop that the test turns, while it plays the peers as well.
struct LoopFixture {
  loop::Loop loop;

  template <class Condition>
  void turn_until(Condition condition) {
    REQUIRE(loop_until_seen(loop, std::move(condition)));
  }

  std::string receive(const base::Fd& from, std::size_t size) {
    std::string bytes;
    turn_until([&] {
      bytes += receive_some(from).bytes;
      return bytes.size() >= size;
    });
    return bytes;
  }

  Received receive_to_end(const base::Fd& from) {
    Received all;
    turn_until([&] {
      const Received more = receive_some(from);
      all.bytes += more.bytes;
      all.ended = more.ended;
      all.reset = more.reset;
      return all.ended || all.reset;
    });
    return all;
  }
};

}  // namespace sc::test
