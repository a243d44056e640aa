#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/callback.h"
#include "base/clock.h"
#include "core/data_plane.h"
#include "core/session_book.h"
#include "core/stream_store.h"
#include "loop/loop.h"
#include "loop/mailbox.h"
#include "loop/timer.h"
#include "net/address.h"
#include "net/local_addresses.h"
#include "net/own_paths.h"
#include "net/resolver/resolver_client.h"
#include "relay/backend_check.h"
#include "relay/homes.h"
#include "relay/past_traffic.h"
#include "relay/session_inquiries.h"
#include "relay/shutdown_sequence.h"
#include "relay/worker.h"
#include "relay/worker_probe.h"

namespace sc::relay {

struct WorkerPoolOptions {
  std::size_t workers = 1;
  SessionOptions session;
  // Where streams listen: an IP; nothing: everywhere, dual-stack, or IPv4 alone where the host has
  // no IPv6.
  std::optional<net::Address> listen_address;
  AdmissionLimits limits;
  core::LoggedSessions logged_sessions = core::LoggedSessions::none;
  net::ResolverOptions resolver;
  // What keeps sessions and listeners for the next process, if anything does; outlives the pool,
  // and is for as many workers.
  handoff::Vault* vault = nullptr;
};

// The data plane: N workers. Each stream has a home worker that accepts; sessions stay there or go
// to the least loaded one. Control thread only.
class WorkerPool final : public core::DataPlane, public core::SessionBook {
 public:
  // `trouble` is empty: sessions reach the backend.
  using OnBackendNote =
      std::function<void(std::uint16_t port, core::Reach reach, const std::string& trouble)>;

  WorkerPool(loop::Loop& control, const WorkerPoolOptions& options, OnBackendNote on_backend_note);
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;
  ~WorkerPool() override;

  // Cuts what still runs and waits for the threads; nothing else may be asked after it. Returns the
  // threads that did not end in time: then the process must end without destroying the pool, whose
  // destructor waits for them.
  std::vector<std::string> shutdown();

  base::Result<base::Fd> prepare(const core::StreamSpec& spec) override;
  base::Result<void> check_address(const std::string& ip) const override;
  bool has_room(std::size_t listeners) const override;
  bool takes(const core::StreamSpec& stream, const core::Backend& backend) const override;
  std::string owner_of(const core::StreamSpec& spec) const override;
  // Returns whether the address belongs to this host.
  bool is_own_address(const net::Address& address) const { return local_.contains(address); }
  void activate(base::Fd listener, const core::Stream& stream) override;
  void when_accepting(std::uint16_t port,
                      base::Callback<void(base::Result<void>)> on_done) override;
  void change(const core::StreamSpec& spec) override;
  void pause(std::uint16_t port) override;
  void resume(std::uint16_t port) override;
  void release(std::uint16_t port, base::Callback<void()> on_free) override;
  void close(std::uint16_t port, std::chrono::milliseconds drain,
             base::Callback<void()> on_free) override;
  void restore(std::uint16_t port, const core::Traffic& carried) override;
  void forget(std::uint16_t port) override;
  // See PastTraffic.
  void sum_up_gone();
  core::Traffic traffic(std::uint16_t port) const override;

  void sessions(const core::SessionQuery& query,
                base::Callback<void(core::SessionPage)> on_done) override;
  void session(
      core::SessionId id,
      base::Callback<void(base::Result<std::optional<core::SessionDetails>>)> on_done) override;
  void kill(core::SessionId id,
            base::Callback<void(base::Result<std::optional<core::EndedSession>>)> on_done) override;
  core::Failures failures(std::uint16_t port) const override;
  std::optional<core::Resolution> resolution(const core::Backend& backend) override;
  void watch(Watch what) override;
  core::SessionNews take_news() override;
  void check(const core::StreamSpec& spec,
             base::Callback<void(core::CheckReport)> on_done) override;

  // Accepts nobody any more; on_done with the number of sessions that had to be cut at the limit.
  // Once.
  void drain(std::chrono::milliseconds limit, base::Callback<void(std::size_t cut)> on_done);
  // What a former process left: sessions of these streams go on, of all others they end. Before the
  // streams are opened; settle() when all are.
  void inherit(const core::StoredStreams& stored, const base::Clock& clock);
  void settle();
  // Keeps for the next process what can be kept, cuts the rest, moves no byte any more. Only with a
  // vault, and instead of drain(), or after it has begun. Once.
  void hand_over(base::Callback<void(HandOverReport)> on_done);

  // Of a stream's traffic, what former processes counted.
  core::Traffic restored(std::uint16_t port) const;
  // Sessions that would have been kept, were there a vault.
  std::uint64_t unkept_sessions() const { return common_.unkept.load(std::memory_order_relaxed); }
  WorkerProbe& probe() { return probe_; }
  net::Resolver& resolver() { return resolver_; }
  // What is wrong with name resolution for all streams; an empty text: nothing any more.
  void set_on_resolver_trouble(std::function<void(const std::string&)> on_trouble) {
    on_resolver_trouble_ = std::move(on_trouble);
  }
  // The worker does not answer: it gets no new work, its listeners and the clients that it has not
  // taken yet go to the others. Or it answers again.
  void set_still(std::size_t worker, bool is_still);
  const Admission& admission() const { return admission_; }
  net::OwnPaths& paths() { return paths_; }
  void set_logged_sessions(core::LoggedSessions which) {
    common_.records.logged.store(which, std::memory_order_relaxed);
  }
  SessionLatencies latencies() const;
  // Sessions of all workers.
  std::size_t sessions() const;
  std::size_t worker_count() const { return workers_.size(); }
  // Null for a port that has no active stream.
  std::shared_ptr<const StreamCounters> counters(std::uint16_t port) const;

 private:
  // Answers of workers that are waited for are looked after so often.
  static constexpr std::chrono::milliseconds kAnswersTick{100};

  struct Active {
    std::uint64_t id = 0;
    std::shared_ptr<StreamCounters> counters;
    std::shared_ptr<const SessionSpec> spec;
    bool is_released = false;  // it has no listener, and one will follow
    base::WallTime created_at{};
    std::unique_ptr<handoff::Kept> kept;  // of its listener
  };
  struct Closing {
    std::optional<std::chrono::milliseconds> drain;  // nothing: its sessions go on
    bool had_listener = true;
    base::Callback<void()> on_free;
    std::uint16_t port = 0;
    std::shared_ptr<StreamCounters> counters;
  };

  void on_copies_due();
  void on_moved(std::uint64_t stream_id, int listener);
  void wait_for_answers();
  void keep_missed_listeners();
  void on_answers_due();
  void on_closed(std::uint64_t stream_id);
  void set_spec(Active& active, const core::StreamSpec& spec, base::WallTime created_at);
  Active& find_or_add(std::uint16_t port);
  base::Result<base::Fd> listen(const core::StreamSpec& spec);
  std::optional<base::Fd> take_kept_listener(const core::StreamSpec& spec);
  bool is_wanted(const core::StreamSpec& spec, const net::Address& address) const;
  std::unique_ptr<handoff::Kept> keep_listener(int fd);
  void handle(const BackendNote& event);
  void handle(const ResolverTrouble& event) {
    if (on_resolver_trouble_) on_resolver_trouble_(event.trouble);
  }
  void handle(const Probed& event) { probe_.note(event); }

  void expect_listeners(const std::map<std::uint16_t, const core::Stream*>& by_port);
  net::Address wanted_address(const core::StreamSpec& spec) const;

  loop::Loop& control_;
  net::LocalAddresses local_;
  std::atomic<bool> is_shut_down_{false};  // workers may be gone; read on any thread
  net::OwnPaths paths_{local_};            // outlives the workers and the checks
  WorkerPoolOptions options_;
  OnBackendNote on_backend_note_;
  std::function<void(const std::string&)> on_resolver_trouble_;
  std::map<std::uint16_t, Active> active_;
  PastTraffic past_;
  std::map<std::uint64_t, Closing> closing_;  // by stream id
  // Whose listeners are closed, but for the copies that the manager holds: of all that closed in a
  // turn these go together.
  std::vector<base::Callback<void()>> freed_;
  loop::Timer copies_due_;
  std::uint64_t next_id_ = 1;
  bool accepts_ = true;
  bool are_missed_ = false;  // listeners that the manager could not be asked to keep
  // A former process's listener between prepare() and activate(), and its descriptor.
  std::unique_ptr<handoff::Kept> adopted_;
  int adopted_fd_ = -1;
  std::vector<std::uint16_t> expected_;  // listeners, from inherit() to settle()
  Homes homes_;
  SessionInquiries inquiries_{workers_};
  ShutdownSequence shutdown_;
  loop::Timer answers_due_;
  std::uint64_t next_check_ = 1;
  Admission admission_;  // outlives the checks and the workers, as the next four do
  const base::SystemClock clock_;
  net::Resolver resolver_;     // stopped before its clients die
  net::ResolverClient names_;  // of the control thread
  Common common_{.admission = admission_, .resolver = resolver_};
  std::map<std::uint64_t, std::unique_ptr<BackendCheck>> checks_;  // under way
  loop::Mailbox<WorkerEvent> inbox_;  // outlives the workers, who send to it
  std::vector<std::unique_ptr<Worker>> workers_;
  WorkerProbe probe_{workers_};
};

}  // namespace sc::relay
