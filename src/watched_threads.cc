#include "watched_threads.h"

#include <cstddef>
#include <utility>

#include "base/log.h"

namespace sc {

// A job of the database or a line of the log that lasts is the host's fault, see base::Pulse.
std::vector<WatchedThread> watched_threads(relay::WorkerPool& plane, store::SqliteStore& store,
                                           const systemd::NotifyQueue& manager,
                                           std::function<void()> say_status) {
  std::vector<WatchedThread> threads;
  for (std::size_t i = 0; i < plane.worker_count(); ++i)
    threads.push_back({.name = relay::Worker::name_of(i),
                       .ask = [&plane, i] { plane.probe().ask(i); },
                       .has_answered = [&plane, i] { return plane.probe().is_answered(i); },
                       .is_held_up = [] { return false; },
                       .held_up = {},
                       .on_still = [&plane, i](bool is_still) { plane.set_still(i, is_still); }});
  threads.push_back({.name = net::Resolver::kThreadName,
                     .ask = [&plane] { plane.resolver().probe(); },
                     .has_answered = [&plane] { return plane.resolver().pulse().has_answered(); },
                     .is_held_up = [&plane] { return bool{plane.resolver().pulse().job_since()}; },
                     .held_up = "the disk of resolv.conf and the hosts file does not answer; "
                                "sessions to names that are not cached wait",
                     .on_still = [](bool) {}});
  for (store::JobThread* each : store.threads())
    threads.push_back({.name = each->name(),
                       .ask = [each] { each->probe(); },
                       .has_answered = [each] { return each->pulse().has_answered(); },
                       .is_held_up = [each] { return bool{each->pulse().job_since()}; },
                       .held_up = {},  // see DatabaseHealth
                       .on_still = [](bool) {}});
  threads.push_back({.name = "log",
                     .ask = [] { base::log::Thread::probe(); },
                     .has_answered = [] { return base::log::Thread::pulse().has_answered(); },
                     .is_held_up = [] { return bool{base::log::Thread::pulse().job_since()}; },
                     .held_up = "the reader of the log takes no lines; the service goes on, and "
                                "lines are dropped when too many wait",
                     .on_still = [](bool) {}});
  threads.push_back({.name = "service-manager",
                     .ask = [] {},
                     .has_answered = [&manager] { return !manager.busy_since(); },
                     .is_held_up =
                         [say = std::move(say_status)] {
                           say();
                           return true;
                         },
                     .held_up = "the service manager does not read its messages; sessions that "
                                "begin now are not durable until it does",
                     .on_still = [](bool) {}});
  return threads;
}

}  // namespace sc
