#pragma once

#include <cstddef>
#include <memory>
#include <utility>

#include "handoff/fixture.h"

namespace sc::test {

struct VaultFixture {
  FakeFdStore manager;
  handoff::StoreLink link = manager.link();
  std::size_t workers = 2;
  std::unique_ptr<handoff::Vault> vault = open();
  CarriedSession carried;

  std::unique_ptr<handoff::Vault> open() {
    auto opened = handoff::Vault::open(link, manager.passed(), workers, 64);
    REQUIRE(opened);
    return std::move(*opened);
  }
  handoff::Keeper& keeper(std::size_t worker = 0) { return vault->keeper(worker); }
  handoff::Table& table() { return keeper().table(); }

  // From now on what dies is as if the process had.
  void leave() {
    for (std::size_t i = 0; i < workers; ++i) keeper(i).leave();
    vault->listener_keeper().leave();
  }
  // The next process, with as many workers.
  void restart(std::size_t count) {
    vault.reset();
    workers = count;
    vault = open();
  }
  void restart() { restart(workers); }

  static void say(const base::Fd& from, const base::Fd& to) {
    send_all(from, "hello");
    wait_for(to.get(), POLLIN);
    CHECK(receive_some(to).bytes == "hello");
  }
};

}  // namespace sc::test
