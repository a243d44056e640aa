#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "relay/pump.h"
#include "relay/tcp_pair.h"
#include "support/catch.h"
#include "support/fake_fd_store.h"

namespace sc::test {

constexpr std::byte kUntouched{0xEE};

inline std::unique_ptr<handoff::Vault> open_vault(const FakeFdStore& manager,
                                                  handoff::StoreLink link) {
  auto vault = handoff::Vault::open(std::move(link), manager.passed(), 1, 16);
  REQUIRE(vault);
  return std::move(*vault);
}

// As PumpFixture, of a session that is kept.
struct KeptPumpFixture {
  TcpPair source = make_tcp_pair();
  TcpPair sink = make_tcp_pair();
  FakeFdStore manager;
  std::unique_ptr<handoff::Vault> vault = open_vault(manager, manager.link());
  std::unique_ptr<handoff::SessionRecord> record =
      handoff::SessionRecord::make(vault->keeper(0), {}, source.near.get(), sink.near.get());
  std::optional<relay::PipePool> pipes{std::in_place, nullptr, &vault->keeper(0)};
  std::vector<std::byte> buffer{relay::Pump::kBuffer, kUntouched};
  std::optional<handoff::CopyPlace> place;  // none: it splices alone
  std::optional<relay::Pump> pump{resources()};

  KeptPumpFixture() {
    for (const base::Fd* fd : {&source.near, &source.far, &sink.near, &sink.far})
      keep_buffers_small(*fd);
  }
  // The place for messages on their way, from now on.
  void copy() { place.emplace(vault->keeper(0).table().copy(0)); }
  relay::Pump::Resources resources() { return {buffer, &*pipes, place ? &*place : nullptr}; }
  bool keep() { return pump->keep(record->owner(handoff::Direction::up), record->slot()); }
  std::size_t step() { return pump->step(source.near.get(), sink.near.get()); }

  // Sends until neither side moves; answers how much.
  std::size_t fill(std::string_view bytes) {
    const std::size_t whole = bytes.size();
    for (int idle = 0; idle < 50;) {
      const std::size_t sent = send_some(source.far, bytes);
      bytes.remove_prefix(sent);
      const std::size_t moved = pump->wants_read() || pump->wants_write() ? step() : 0;
      idle = sent + moved == 0 ? idle + 1 : 0;
    }
    return whole - bytes.size();
  }
  std::string drain(std::size_t size) {
    std::string out;
    while (out.size() < size) {
      if (pump->wants_read() || pump->wants_write()) step();
      REQUIRE_FALSE(pump->is_over());
      out += receive_some(sink.far).bytes;
    }
    return out;
  }
  // Everything of this process goes, and the next one looks.
  handoff::KeptSession restart() {
    vault->keeper(0).leave();
    pump.reset();
    pipes.reset();
    record.reset();
    source.near.reset();
    sink.near.reset();
    vault.reset();
    vault = open_vault(manager, manager.link());
    auto sessions = vault->take_sessions();
    REQUIRE(sessions.size() == 1);
    pipes.emplace(nullptr, &vault->keeper(0));
    return std::move(sessions[0]);
  }
  // As the next process does.
  void go_on(handoff::KeptSession session) {
    record = std::move(session.record);
    source.near = std::move(session.client);
    sink.near = std::move(session.backend);
    if (place) copy();
    pump.emplace(resources());
    pump->resume(std::move(session.up), record->slot().down_ended);
    REQUIRE(keep());
  }
};

}  // namespace sc::test
