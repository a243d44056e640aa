#include "open_vault.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <thread>
#include <utility>

#include "base/log.h"
#include "handoff/start_rate.h"
#include "part_options.h"
#include "systemd/fd_store.h"

namespace sc {

std::unique_ptr<handoff::Vault> open_vault(const config::Settings& settings,
                                           std::vector<systemd::PassedFd> passed,
                                           const std::shared_ptr<systemd::NotifyQueue>& notify,
                                           const base::Clock& clock) {
  std::vector<handoff::StoredFd> stored;
  stored.reserve(passed.size());
  for (systemd::PassedFd& each : passed) stored.push_back({each.name, std::move(each.fd)});
  if (!systemd::FdStore::is_there()) return nullptr;
  if (const auto wait = handoff::note_start(stored, clock.steady()); wait.count() > 0) {
    base::log::warning("it was started too often lately, and waits",
                       {{"ms", std::to_string(wait.count())}});
    std::this_thread::sleep_for(wait);
  }
  const std::size_t workers = worker_count(settings);
  const auto store = std::make_shared<const systemd::FdStore>(notify);
  auto vault = handoff::Vault::open(
      {[store](const std::string& name, int fd) { return store->put(name, fd); },
       [store](const std::string& name) { store->remove(name); },
       [store](const std::string& name, int fd) { return store->put_later(name, fd); },
       [store] { return store->is_busy(); }},
      std::move(stored), workers,
      static_cast<std::uint32_t>(std::min<std::size_t>(descriptors_for_streams(workers) / 2,
                                                       handoff::Table::kMostSessions)));
  if (vault) return std::move(*vault);
  base::log::error("sessions end with the process", {{"reason", vault.error().message}});
  return nullptr;
}

}  // namespace sc
