#include <fcntl.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>

#include "net/tcp_position.h"
#include "relay/kept_pump_fixture.h"

namespace sc::test {
namespace {

using relay::Pump;

constexpr std::size_t kRun = Pump::kSmallRun;

// As KeptPumpFixture, where small messages may be copied.
struct KeptCopyFixture : KeptPumpFixture {
  KeptCopyFixture() {
    copy();
    pump.emplace(resources());
    REQUIRE(keep());
    std::memset(slot().bytes, 0, sizeof slot().bytes);
  }
  handoff::CopySlot& slot() { return vault->keeper(0).table().copy(0); }

  // A message goes through by itself.
  void say(std::string_view message) {
    send_all(source.far, message);
    wait_for(source.near.get(), POLLIN);
    CHECK(drain(message.size()) == message);
    CHECK(slot().owner == 0);
  }
  void say_some(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) say("hello");
  }
  void pass_urgent_byte() {
    send_all(source.far, "before");
    REQUIRE(::send(source.far.get(), "!", 1, MSG_OOB) == 1);
    send_all(source.far, "after");
    wait_for(source.near.get(), POLLIN);
    CHECK(drain(12) == "before!after");
  }
  // Was this the last one that was copied?
  bool copied(std::string_view message) {
    return std::memcmp(slot().bytes, message.data(), message.size()) == 0;
  }
  // Messages of `size` bytes each until the sink takes no more; answers how many bytes went in.
  std::size_t fill_with_messages(std::string_view bytes, std::size_t size) {
    std::size_t sent = 0;
    while (sent + size <= bytes.size() && pump->wants_read()) {
      send_all(source.far, bytes.substr(sent, size));
      sent += size;
      wait_for(source.near.get(), POLLIN);
      step();
    }
    return sent;
  }
};

TEST_CASE_METHOD(KeptCopyFixture,
                 "small messages of a kept session are copied where a kill finds them") {
  say_some(kRun);
  CHECK_FALSE(copied("hello"));
  say("a ninth");
  CHECK(copied("a ninth"));
  CHECK(slot().size == 7);
  CHECK(std::all_of(buffer.begin(), buffer.end(), [](std::byte b) { return b == kUntouched; }));
}

TEST_CASE_METHOD(KeptCopyFixture, "what was spliced meanwhile does not confuse who copies") {
  say_some(kRun);
  const std::string bulk = pattern(300'000);
  send_all(source.far, std::string_view(bulk).substr(0, 60'000));
  wait_for(source.near.get(), POLLIN);
  CHECK(drain(60'000) == bulk.substr(0, 60'000));
  REQUIRE(::send(source.far.get(), "!", 1, MSG_OOB) == 1);
  wait_for(source.near.get(), POLLIN);
  CHECK(drain(1) == "!");
  say("copied");
  CHECK(copied("copied"));
  // Where the kernel sees them is where this process thinks they are.
  CHECK(slot().read + 6 == net::bytes_read(source.near.get()));
  CHECK(slot().written + 6 == net::bytes_written(sink.near.get()));
}

TEST_CASE_METHOD(KeptCopyFixture, "an urgent byte is copied, as splicing does not pass it") {
  pass_urgent_byte();
  CHECK(copied("!"));
  CHECK(slot().owner == 0);
}

TEST_CASE_METHOD(KeptCopyFixture, "bulk is spliced, also of a session that copies") {
  say_some(kRun + 1);
  const std::string bytes = pattern(60'000);
  send_all(source.far, bytes);
  wait_for_bytes(source.near, bytes.size());
  const std::uint64_t before = *net::bytes_read(source.near.get());
  CHECK(step() == bytes.size());
  CHECK(slot().read == before);  // nothing was copied but the first of it
  CHECK(slot().size == Pump::kBuffer);
  CHECK(drain(bytes.size()) == bytes);
}

TEST_CASE_METHOD(KeptCopyFixture,
                 "messages are copied when they are small in a row, not now and then") {
  const std::string bulk = pattern(40'000);
  for (int i = 0; i < 3; ++i) {
    say_some(kRun - 1);
    send_all(source.far, bulk);
    wait_for_bytes(source.near, bulk.size());
    CHECK(drain(bulk.size()) == bulk);
  }
  say("spliced");
  CHECK_FALSE(copied("spliced"));
}

TEST_CASE_METHOD(KeptCopyFixture, "of messages of any size all arrive as they were sent") {
  const std::string bytes = pattern(1024 * 1024);
  std::string_view rest = bytes;
  for (std::size_t size = 1; !rest.empty(); size = size * 7 % 24'001 + 1) {
    const auto piece = rest.substr(0, size);
    say(piece);
    rest.remove_prefix(piece.size());
  }
  CHECK(slot().read + slot().size <= net::bytes_read(source.near.get()));
}

TEST_CASE_METHOD(KeptCopyFixture,
                 "what a full sink does not take of a message waits for the next process") {
  say_some(kRun);
  const std::string bytes = pattern(16 * 1024 * 1024);
  const std::size_t sent = fill_with_messages(bytes, 10'000);
  REQUIRE(sent < bytes.size());
  CHECK(pump->wants_write());
  CHECK(slot().owner == 0);
  CHECK(slot().size > 0);
  SECTION("as well as for this one") { CHECK(drain(sent) == bytes.substr(0, sent)); }
  SECTION("which goes on") {
    handoff::KeptSession session = restart();
    REQUIRE(session.up);
    CHECK(session.up->bytes > 0);
    CHECK(session.up->bytes <= 10'000);
    go_on(std::move(session));
    CHECK(drain(sent) == bytes.substr(0, sent));
    say_some(kRun);
    say("and copies again");
    CHECK(copied("and copies again"));
  }
}

TEST_CASE_METHOD(KeptCopyFixture, "an end and a reset reach a session that copies") {
  say_some(kRun + 1);
  SECTION("an end") {
    end_writes(source.far);
    wait_for(source.near.get(), POLLRDHUP);
    step();
    CHECK(pump->state() == Pump::State::finished);
    wait_for_hangup(sink.far.get());
    CHECK(receive_some(sink.far).ended);
  }
  SECTION("a reset of the source") {
    reset(source.far);
    wait_for_hangup(source.near.get());
    step();
    CHECK(pump->fault() == Pump::Fault::source);
    CHECK(pump->error() == ECONNRESET);
    CHECK(record->slot().broken == 1);
  }
  SECTION("a reset of the sink") {
    reset(sink.far);
    wait_for_hangup(sink.near.get());
    send_all(source.far, "for nobody");
    wait_for(source.near.get(), POLLIN);
    step();
    CHECK(pump->fault() == Pump::Fault::sink);
    CHECK(record->slot().broken == 1);
  }
  CHECK(slot().owner == 0);
  CHECK(pipes->at_rest() == 1);
}

struct SmallPipeFixture : KeptCopyFixture {
  SmallPipeFixture() {
    auto pipe = pipes->take_kept();
    REQUIRE(pipe);
    REQUIRE(::fcntl(pipe->fd.get(), F_SETPIPE_SZ, 8192) == 8192);
    pipe->capacity = 8192;
    pipes->give_back(std::move(*pipe));
  }
};

TEST_CASE_METHOD(SmallPipeFixture, "no more is read at once than the pipe for the rest takes") {
  say_some(kRun);
  say("copied");
  CHECK(copied("copied"));
  const std::string bytes = pattern(12'000);
  say(bytes);
  CHECK(copied(std::string_view(bytes).substr(0, 8192)));
  CHECK(slot().size == 8192);
}

TEST_CASE_METHOD(SmallPipeFixture, "an urgent byte passes where pipes are small") {
  pass_urgent_byte();
}

TEST_CASE_METHOD(KeptCopyFixture,
                 "without a kept pipe a session that copies stands still until it is let go") {
  say_some(kRun);
  manager.remove("c0-1");
  send_all(source.far, "hello");
  wait_for(source.near.get(), POLLIN);
  auto pipe = pipes->take_kept();
  REQUIRE(pipe);
  CHECK(step() == 0);
  CHECK(pump->lacks_pipe());
  CHECK(slot().owner == 0);
  pump->let_go();
  CHECK(drain(5) == "hello");
}

TEST_CASE_METHOD(KeptCopyFixture,
                 "a session that is let go copies as others do, and can be kept again") {
  say_some(kRun + 1);
  pump->let_go();
  say("not kept");
  CHECK_FALSE(copied("not kept"));
  REQUIRE(keep());
  say_some(kRun);
  say("kept again");
  CHECK(copied("kept again"));
  CHECK(slot().read + 10 == net::bytes_read(source.near.get()));
}

}  // namespace
}  // namespace sc::test
