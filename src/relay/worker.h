#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <variant>
#include <vector>

#include "base/callback.h"
#include "base/clock.h"
#include "base/fd.h"
#include "loop/loop.h"
#include "loop/mailbox.h"
#include "loop/timer.h"
#include "net/resolver/resolver_client.h"
#include "relay/admission.h"
#include "relay/chronicle.h"
#include "relay/keep_again.h"
#include "relay/listeners.h"
#include "relay/pipe_pool.h"
#include "relay/pump.h"
#include "relay/session.h"
#include "relay/silent_peers.h"
#include "relay/tickets.h"

namespace sc::relay {

// What the control thread and other workers ask of a worker.
struct OpenListener {  // answered by ListenerOpened
  StreamContext stream;
  std::shared_ptr<OpeningTicket> ticket;
};
struct PauseListener {
  std::uint64_t stream_id = 0;
};
struct ResumeListener {
  std::uint64_t stream_id = 0;
};
struct CloseListener {  // answered by ListenerClosed
  std::uint64_t stream_id = 0;
  std::shared_ptr<ClosingTicket> ticket;
};
struct AbandonListener {  // another worker accepts the stream's clients now
  std::uint64_t stream_id = 0;
};
struct ChangeSpec {
  std::uint64_t stream_id = 0;
  std::shared_ptr<const SessionSpec> spec;
};
struct AdoptSession {  // from the worker that accepted it
  StreamContext stream;
  net::Accepted client;
  std::shared_ptr<net::OwnDial> via;  // see NewClient
};
struct ResumeSession {  // of a former process
  core::SessionId id = 0;
  StreamContext stream;
  handoff::KeptSession kept;
};
struct EndKeptSession {  // of a former process, whose stream has gone
  core::SessionId id = 0;
  handoff::KeptSession kept;
};
struct LookForRoom {};  // clients that were refused for want of a session or a descriptor
struct LookForStreamRoom {
  std::uint64_t stream_id = 0;
};
struct DrainStream {  // sessions still running after `limit` are cut
  std::uint64_t stream_id = 0;
  std::chrono::milliseconds limit{0};
};
struct StopAccepting {  // for good; answered by AcceptingStopped
  bool leaves = false;  // clients wait for the next process, else they are refused
};
struct DrainAll {  // after it, when no worker accepts; answered by Drained
  std::chrono::milliseconds limit{0};
};
// Answered, with its number, by SessionsListed, SessionLookedUp, SessionKilled.
struct ListSessions {
  std::uint64_t number = 0;
  core::SessionQuery query;
};
struct LookUpSession {
  std::uint64_t number = 0;
  core::SessionId id = 0;
};
struct KillSession {
  std::uint64_t number = 0;
  core::SessionId id = 0;
};
// Keeps for the next process what can be kept and cuts the rest; nothing is moved any more.
// Answered by HandedOver; Shutdown follows.
struct HandOver {};
struct Probe {  // answered by Probed
  base::Instant sent_at;
};
struct Shutdown {};  // cut everything and leave the thread
using WorkerCommand =
    std::variant<OpenListener, PauseListener, ResumeListener, CloseListener, AbandonListener,
                 ChangeSpec, AdoptSession, ResumeSession, EndKeptSession, LookForRoom,
                 LookForStreamRoom, DrainStream, StopAccepting, DrainAll, ListSessions,
                 LookUpSession, KillSession, HandOver, Probe, Shutdown>;

// What a worker tells the control thread.
struct ListenerOpened {
  std::uint64_t stream_id = 0;
  std::shared_ptr<OpeningTicket> ticket;
};
struct ListenerClosed {
  std::uint64_t stream_id = 0;
};
struct BackendNote {
  std::uint64_t stream_id = 0;
  core::Reach reach = core::Reach::reached;
  std::string trouble;  // empty: sessions reach the backend
};
struct AcceptingStopped {
  std::size_t worker = 0;
  bool leaves = false;  // as StopAccepting said
};
struct Drained {
  std::size_t worker = 0;
  std::size_t cut = 0;  // sessions that did not end by themselves
};
struct HandedOver {
  std::size_t worker = 0;
  std::size_t kept = 0;
  std::size_t cut = 0;
};
struct Probed {
  std::size_t worker = 0;
  std::chrono::nanoseconds waited{0};  // from its sending to its arrival
  std::size_t pipes = 0;
  std::size_t pipes_at_rest = 0;  // of these
};
struct SessionsListed {
  std::uint64_t number = 0;
  std::size_t worker = 0;
  std::vector<core::RunningSession> sessions;  // the latest first
  std::optional<core::SessionId> rest;         // there may be more, with lower ids
};
struct SessionLookedUp {
  std::uint64_t number = 0;
  std::optional<core::SessionDetails> details;  // nothing: there is none such here
};
struct SessionKilled {
  std::uint64_t number = 0;
  std::optional<core::EndedSession> ended;  // likewise
};
struct ResolverTrouble {  // an empty text: it is over
  std::string trouble;
};
using WorkerEvent =
    std::variant<ResolverTrouble, ListenerOpened, ListenerClosed, BackendNote, AcceptingStopped,
                 Drained, HandedOver, SessionsListed, SessionLookedUp, SessionKilled, Probed>;

// What all workers share, beside their peers. Outlives them; any thread.
struct Common {
  Admission& admission;
  std::atomic<std::uint64_t> unkept{0};          // sessions that a vault would have kept; relaxed
  std::atomic<core::SessionId> last_session{0};  // of all, without the worker's part; relaxed
  Records records;
  net::Resolver& resolver;
};

// A thread with a loop of its own, its listeners and its sessions. Made, started, joined and
// destroyed on the control thread; send(), load() and new_id() may be called from any, cpu_time()
// from the control thread; the rest is its own thread's.
class Worker {
 public:
  using Report = std::function<void(WorkerEvent)>;  // called on the worker's thread

  static constexpr std::size_t kMost = 256;  // workers
  // So many sessions are looked at for one ListSessions, before others get their turn.
  static constexpr std::size_t kListedAtOnce = 4096;

  // `peers` are all workers, this one among them; complete by start(). `vault`, if any, keeps its
  // sessions for the next process, and has what the former one left.
  Worker(std::size_t index, SessionOptions options, Common& common, handoff::Vault* vault,
         const std::vector<std::unique_ptr<Worker>>& peers, Report report);
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  ~Worker();

  void start();
  void send(WorkerCommand command) { inbox_.send(std::move(command)); }
  // A client that another worker accepted.
  void adopt(AdoptSession client) {
    load_.fetch_add(1, std::memory_order_relaxed);
    send(std::move(client));
  }
  // After a Shutdown was sent. False: the thread still runs after `patience`; then the process must
  // end without destroying what the thread uses.
  bool join(std::chrono::milliseconds patience);

  // What its thread is called: `worker-0`.
  static std::string name_of(std::size_t index) { return "worker-" + std::to_string(index); }

  // The thread has not answered for a while (see WorkerProbe): it gets no new work. Set on the
  // control thread. Any thread.
  void set_still(bool is_still) { is_still_.store(is_still, std::memory_order_relaxed); }
  bool is_still() const { return is_still_.load(std::memory_order_relaxed); }
  // Clients that were sent to it and that it has not taken: they leave its mail, and are no load of
  // it any more. Any thread.
  std::vector<AdoptSession> take_back_clients() {
    std::vector<AdoptSession> clients;
    for (WorkerCommand& command : inbox_.take_back(
             [](const WorkerCommand& each) { return std::holds_alternative<AdoptSession>(each); }))
      clients.push_back(std::get<AdoptSession>(std::move(command)));
    load_.fetch_sub(clients.size(), std::memory_order_relaxed);
    return clients;
  }

  // Sessions here and on their way here.
  std::size_t load() const { return load_.load(std::memory_order_relaxed); }
  // What its thread has used; 0 when it does not run.
  std::chrono::nanoseconds cpu_time();
  const Latencies& latencies() const { return chronicle_.latencies(); }  // any thread

  // For a session that it has or gets: higher than all before, of any worker. Any thread.
  core::SessionId new_id();
  // Which worker has the session, if any does.
  static std::size_t index_of(core::SessionId id) { return id % kMost; }

 private:
  void run();
  void handle(OpenListener command);
  void handle(const PauseListener& command);
  void handle(const ResumeListener& command);
  void handle(const CloseListener& command);
  void handle(const AbandonListener& command);
  void handle(ChangeSpec command);
  void handle(AdoptSession command);
  void handle(ResumeSession command);
  void handle(EndKeptSession command);
  void handle(const LookForRoom& command);
  void handle(const LookForStreamRoom& command);
  void handle(const DrainStream& command);
  void handle(const StopAccepting& command);
  void handle(const DrainAll& command);
  void handle(const ListSessions& command);
  void handle(const LookUpSession& command);
  void handle(const KillSession& command);
  void handle(const HandOver& command);
  void handle(const Probe& command);
  void handle(const Shutdown& command);

  void place(const StreamContext& stream, net::Accepted client);
  void on_dialed(const StreamContext& stream, core::Reach reach, const std::string& trouble);
  void end_early(const AdoptSession& command, core::EndReason reason, std::string detail);
  void end_ring(const StreamContext& stream, net::Accepted client, net::OwnDial& via);
  static SessionEnd end_of_kept(core::SessionId id, const handoff::KeptSession& kept);
  template <class Client>
  void add_session(core::SessionId session_id, StreamContext stream, Client client, bool is_young);
  void on_keepalive_due();
  void watch_age(core::SessionId session_id, core::Durability durable);
  void on_durable_due();
  void on_pipes_due();
  void leave(const StreamContext& stream);
  void on_session_end(core::SessionId id, SessionEnd end);
  void on_drain_limit();
  void cut_sessions(std::optional<std::uint64_t> stream_id, core::EndReason reason);
  void report_if_drained();

  const std::size_t index_;
  SessionOptions options_;         // set when this is made
  Common& common_;                 // any thread
  Admission& admission_;           // likewise
  handoff::Keeper* const keeper_;  // null without a vault; this worker's thread only
  const std::vector<std::unique_ptr<Worker>>& peers_;
  Report report_;
  std::atomic<std::size_t> load_{0};   // shared, relaxed
  std::atomic<bool> is_still_{false};  // shared, relaxed

  // This worker's thread only, once it runs.
  loop::Loop loop_;
  net::ResolverClient names_;
  std::vector<std::byte> buffer_;
  PipePool pipes_;
  std::optional<handoff::CopyPlace> copies_;         // of kept sessions
  net::SpareSockets spares_{options_.shares_ports};  // for clients that are kept at once
  Listeners listeners_;
  Chronicle chronicle_;
  std::map<core::SessionId, std::unique_ptr<Session>> sessions_;  // in the order of accepting
  KeepAgain keep_again_;
  SilentPeers silent_peers_;
  std::optional<core::EndedSession>* killed_ = nullptr;  // where it goes, during a kill
  std::unordered_map<std::uint64_t, std::unique_ptr<loop::Timer>> drains_;  // by stream
  std::unique_ptr<loop::Timer> drain_all_;
  struct Young {
    std::chrono::milliseconds until;  // in the loop's time
    core::SessionId session_id;
  };
  std::deque<Young> young_;  // without keepalive yet, the oldest first
  loop::Timer keepalive_due_;
  std::deque<Young> passing_;  // too young to be kept, likewise
  loop::Timer durable_due_;
  loop::Timer pipes_due_;
  bool accepts_ = true;
  bool draining_ = false;  // until Drained is told
  bool drain_is_over_ = false;
  std::size_t cut_ = 0;  // by the end of the drain

  loop::Mailbox<WorkerCommand> inbox_;
  std::promise<void> ended_;  // the thread has left its loop
  std::thread thread_;
};

}  // namespace sc::relay
