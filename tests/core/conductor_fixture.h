#pragma once

#include <optional>
#include <string>

#include "core/conductor.h"
#include "support/fake_data_plane.h"
#include "support/fake_store.h"
#include "support/manual_clock.h"

namespace sc::test {

inline core::StreamSpec spec(std::uint16_t port, const std::string& backend = "backend:1") {
  return *core::make_spec(std::to_string(port), backend);
}

// A conductor for ports 9000 to 9002 on the fakes.
struct ConductorFixture {
  ConductorFixture() { boot(core::StoredStreams{}); }

  // As at a start of the service: what the store holds is opened.
  core::BootReport boot(const std::vector<core::Stream>& streams) {
    core::StoredStreams stored;
    stored.streams = streams;
    for (const core::Stream& stream : streams)
      stored.recorded.emplace(
          stream.spec.port,
          core::RecordedStream{stream.spec, stream.state == core::StreamState::failed});
    return boot(stored);
  }
  core::BootReport boot(const core::StoredStreams& stored) {
    for (const core::Stream& stream : stored.streams)
      store.rows.insert_or_assign(stream.spec.port, stream);
    core::BootReport report;
    conductor.boot(stored, [&](core::BootReport done) { report = done; });
    store.answer_all();
    return report;
  }

  // The answer is there once the store has been let answer.
  std::optional<base::Result<core::Stream>>& create(const core::StreamSpec& wanted) {
    created.reset();
    conductor.create(wanted, {"tester", {}},
                     [this](base::Result<core::Stream> done) { created = std::move(done); });
    return created;
  }
  std::optional<base::Result<void>>& remove(std::uint16_t port) {
    removed.reset();
    conductor.remove(port, {"tester", {}}, std::nullopt, {},
                     [this](base::Result<void> done) { removed = std::move(done); });
    return removed;
  }
  void create_now(const core::StreamSpec& wanted) {
    create(wanted);
    store.answer_all();
  }

  ManualClock clock;
  FakeStore store;
  FakeDataPlane plane;
  std::optional<base::Result<core::Stream>> created;
  std::optional<base::Result<void>> removed;
  core::Conductor conductor{core::ConductorOptions{*core::PortRanges::parse("9000-9002"),
                                                   std::chrono::milliseconds{7000}},
                            store, plane, clock};
};

}  // namespace sc::test
