#include <sys/ioctl.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "relay/admission.h"
#include "relay/kept_pump_fixture.h"
#include "support/fd_count.h"

namespace sc::test {
namespace {

using relay::Pipe;
using relay::PipePool;
using relay::Pump;

TEST_CASE_METHOD(KeptPumpFixture,
                 "without a place for them no byte of a kept session is in user space") {
  REQUIRE(keep());
  const std::string bytes = pattern(512 * 1024);
  std::string out;
  std::string_view rest = bytes;
  for (std::size_t size = 1; !rest.empty(); size = size * 7 % 40'001 + 1) {
    const auto piece = rest.substr(0, size);
    send_all(source.far, piece);
    wait_for(source.near.get(), POLLIN);
    out += drain(piece.size());
    rest.remove_prefix(piece.size());
  }
  CHECK(out == bytes);
  CHECK(std::all_of(buffer.begin(), buffer.end(), [](std::byte b) { return b == kUntouched; }));
}

TEST_CASE_METHOD(KeptPumpFixture, "what a full sink does not take waits for the next process") {
  REQUIRE(keep());
  const std::string bytes = pattern(16 * 1024 * 1024);
  const std::size_t sent = fill(bytes);
  REQUIRE(sent < bytes.size());
  CHECK(pump->wants_write());
  handoff::KeptSession session = restart();
  REQUIRE(session.up);
  CHECK(session.up->bytes > 0);

  go_on(std::move(session));
  CHECK_FALSE(pump->wants_read());  // what was read before goes first
  CHECK(pump->wants_write());
  CHECK(drain(sent) == bytes.substr(0, sent));
  CHECK(pipes->at_rest() == 1);
}

TEST_CASE_METHOD(KeptPumpFixture, "an urgent byte of a kept session keeps its place") {
  REQUIRE(keep());
  send_all(source.far, "before");
  REQUIRE(::send(source.far.get(), "!", 1, MSG_OOB) == 1);
  send_all(source.far, "after");
  end_writes(source.far);
  std::string out;
  for (int turns = 0; turns < 1000 && !pump->is_over(); ++turns) {
    step();
    out += receive_some(sink.far).bytes;
  }
  CHECK(pump->state() == Pump::State::finished);
  out += receive_some(sink.far).bytes;
  CHECK(out == "before!after");
}

TEST_CASE_METHOD(KeptPumpFixture, "the next process knows that the sink was told the end") {
  REQUIRE(keep());
  CHECK(record->slot().up_ended == 0);
  end_writes(source.far);
  wait_for_hangup(source.near.get());
  step();
  CHECK(pump->state() == Pump::State::finished);
  CHECK(record->slot().up_ended == 1);
  wait_for_hangup(sink.far.get());
  CHECK(receive_some(sink.far).ended);
}

TEST_CASE_METHOD(KeptPumpFixture,
                 "without a kept pipe a kept session stands still until it is let go") {
  REQUIRE(keep());
  manager.remove("c0-1");
  send_all(source.far, "hello");
  wait_for(source.near.get(), POLLIN);
  CHECK(step() == 0);
  CHECK(pump->lacks_pipe());
  CHECK_FALSE(pump->is_over());
  pump->let_go();
  CHECK_FALSE(pump->lacks_pipe());
  CHECK(step() == 5);
  wait_for(sink.far.get(), POLLIN);
  CHECK(receive_some(sink.far).bytes == "hello");
}

TEST_CASE_METHOD(KeptPumpFixture,
                 "a session whose bytes wait in a pipe of this process is not kept") {
  manager.refuse(true);
  manager.remove("c0-1");
  const std::string bytes = pattern(16 * 1024 * 1024);
  const std::size_t sent = fill(bytes);
  REQUIRE(sent < bytes.size());
  CHECK_FALSE(keep());
  CHECK(drain(sent) == bytes.substr(0, sent));
  CHECK(keep());  // nothing waits any more
}

TEST_CASE_METHOD(KeptPumpFixture,
                 "a pipe that holds bytes when the session is kept is claimed for it") {
  const std::string bytes = pattern(16 * 1024 * 1024);
  const std::size_t sent = fill(bytes);
  REQUIRE(sent < bytes.size());
  REQUIRE(keep());
  const handoff::KeptSession session = restart();
  REQUIRE(session.up);
  CHECK(session.up->bytes > 0);
}

TEST_CASE_METHOD(KeptPumpFixture,
                 "a reset of which a former process was told is the source's fault") {
  send_all(source.near, "unread");
  reset(source.far);
  wait_for_hangup(source.near.get());
  CHECK(receive_some(source.near).reset);
  const handoff::Shared<std::uint8_t> told{0};
  pump->resume({}, told);
  step();
  CHECK(pump->fault() == Pump::Fault::source);
  CHECK(pump->error() == ECONNRESET);
}

TEST_CASE_METHOD(KeptPumpFixture, "an end that a former process has read is no fault") {
  const bool both = GENERATE(false, true);
  end_writes(source.far);
  wait_for_hangup(source.near.get());
  CHECK(receive_some(source.near).ended);
  if (both) {
    end_writes(source.near);
    wait_for_hangup(source.far.get());
    source.far.reset();
  }
  const handoff::Shared<std::uint8_t> told{static_cast<std::uint8_t>(both)};
  pump->resume({}, told);
  step();
  CHECK(pump->state() == Pump::State::finished);
}

struct KeptPipesFixture {
  FakeFdStore manager;
  std::unique_ptr<handoff::Vault> vault = open_vault(manager, manager.link());
  std::optional<PipePool> pipes{std::in_place, nullptr, &vault->keeper(0)};

  static int bytes_in(const Pipe& pipe) {
    int bytes = 0;
    return ::ioctl(pipe.fd.get(), FIONREAD, &bytes) == 0 ? bytes : -1;
  }
};

TEST_CASE("a pipe takes one descriptor") {
  PipePool pipes;
  const std::size_t before = fd_count();
  const auto pipe = pipes.take();
  REQUIRE(pipe);
  CHECK(fd_count() == before + 1);
  CHECK_FALSE(pipe->is_kept());
}

TEST_CASE_METHOD(KeptPipesFixture,
                 "a kept pipe is emptied and used again when nobody takes its bytes") {
  auto pipe = pipes->take();
  REQUIRE(pipe);
  CHECK(pipe->is_kept());
  const int fd = pipe->fd.get();
  const std::string bytes = pattern(60'000);
  REQUIRE(::write(fd, bytes.data(), bytes.size()) == 60'000);
  pipes->discard(std::move(*pipe));
  CHECK(pipes->at_rest() == 1);
  pipe = pipes->take();
  CHECK(pipe->fd.get() == fd);
  CHECK(bytes_in(*pipe) == 0);
}

TEST_CASE_METHOD(KeptPipesFixture, "a kept pipe's bytes stay for the next process") {
  auto pipe = pipes->take();
  REQUIRE(::write(pipe->fd.get(), "bytes", 5) == 5);
  vault->keeper(0).leave();
  pipes->discard(std::move(*pipe));
  pipe.reset();
  CHECK(pipes->at_rest() == 0);
  std::size_t seen = 0;
  for (const handoff::StoredFd& each : manager.passed()) {
    if (!each.name.starts_with(handoff::kCapsulePrefix)) continue;
    for (const auto& found : handoff::look_into(each.fd.get())) {
      int bytes = 0;
      CHECK(::ioctl(found.fds.at(0).get(), FIONREAD, &bytes) == 0);
      seen += static_cast<std::size_t>(bytes);
    }
  }
  CHECK(seen == 5);
}

TEST_CASE("a pipe of this process alone is closed with what is in it") {
  PipePool pipes;
  const std::size_t before = fd_count();
  auto pipe = pipes.take();
  REQUIRE(::write(pipe->fd.get(), "bytes", 5) == 5);
  pipes.discard(std::move(*pipe));
  pipe.reset();
  CHECK(pipes.at_rest() == 0);
  CHECK(fd_count() == before);
}

TEST_CASE_METHOD(KeptPipesFixture, "a former process's pipes count as this one's") {
  relay::Admission admission({relay::AdmissionLimits::kNone, relay::AdmissionLimits::kNone, 400},
                             [] {});
  {
    std::vector<Pipe> former;
    for (std::size_t i = 0; i < PipePool::kKept + 3; ++i) former.push_back(*pipes->take());
    vault->keeper(0).leave();
  }
  pipes.reset();
  vault = open_vault(manager, manager.link());
  PipePool next(&admission, &vault->keeper(0));
  {
    std::vector<Pipe> adopted;
    for (handoff::KeptPipe& each : vault->take_pipes(0)) {
      adopted.push_back(next.adopt(std::move(each)));
      CHECK(adopted.back().is_kept());
      CHECK(adopted.back().capacity >= PipePool::kSpareCapacity);
    }
    CHECK(adopted.size() == PipePool::kKept + 3);
    CHECK(admission.descriptors() == 3);
  }
  CHECK(admission.descriptors() == 0);
}

}  // namespace
}  // namespace sc::test
