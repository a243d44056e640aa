#include "relay/worker.h"

#include <pthread.h>
#include <time.h>

#include <algorithm>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "base/blocked_signals.h"
#include "base/kill_point.h"
#include "base/log.h"
#include "base/result.h"
#include "relay/session_filter.h"

namespace sc::relay {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

// A session stays with the worker that accepted it unless another one has at least this many fewer:
// a move costs a message and a wake-up.
constexpr std::size_t kWorthMoving = 2;

// A session that has lived for so long gets TCP keepalive on its backend's side; most end before,
// and the first probe would come much later.
constexpr std::chrono::milliseconds kKeepaliveDelay{1000};

// Pipes that nobody took for so long are closed.
constexpr std::chrono::milliseconds kPipesIdle{10'000};

// At a hand-over, for the manager to take capsules; sessions without a place in one are cut.
constexpr std::chrono::milliseconds kManagerPatience{3000};

// Sessions that become old enough to be kept within so long of each other cost one wake-up.
constexpr std::chrono::milliseconds kDurableSlack{20};

}  // namespace

Worker::Worker(std::size_t index, SessionOptions options, Common& common, handoff::Vault* vault,
               const std::vector<std::unique_ptr<Worker>>& peers, Report report)
    : index_(index),
      options_(std::move(options)),
      common_(common),
      admission_(common.admission),
      keeper_(vault != nullptr ? &vault->keeper(index) : nullptr),
      peers_(peers),
      report_(std::move(report)),
      names_(loop_, common.resolver),
      buffer_(Pump::kBuffer),
      pipes_(&admission_, keeper_),
      listeners_(loop_, admission_, vault != nullptr,
                 [this](const StreamContext& stream, net::Accepted client) {
                   place(stream, std::move(client));
                 }),
      chronicle_(loop_, common.records),
      keep_again_(loop_, sessions_, keeper_),
      silent_peers_(loop_, sessions_, options_.keepalive),
      keepalive_due_(loop_, [this] { on_keepalive_due(); }),
      durable_due_(loop_, [this] { on_durable_due(); }),
      pipes_due_(loop_, [this] { on_pipes_due(); }),
      inbox_(loop_, [this](WorkerCommand command) {
        std::visit([this](auto&& each) { handle(std::forward<decltype(each)>(each)); },
                   std::move(command));
      }) {
  options_.resolver = &names_;
  // Whoever changed a stream may have been answered, and a client sent by them, while the change is
  // in the inbox still: it goes first (see net::Acceptor::OnAccept).
  loop_.set_first([this] { inbox_.deliver(); });
  if (vault == nullptr) return;
  for (handoff::KeptPipe& pipe : vault->take_pipes(index))
    pipes_.give_back(pipes_.adopt(std::move(pipe)));
  if (handoff::CopySlot* slot = keeper_->table().take_copy(index_)) copies_.emplace(*slot);
}

Worker::~Worker() {
  if (thread_.joinable()) thread_.join();
}

void Worker::start() {
  const base::BlockedSignals blocked;  // in a worker they would only interrupt its splices
  try {
    thread_ = std::thread([this] { run(); });
  } catch (const std::system_error& failure) {
    throw std::runtime_error(base::describe_errno(
        "the host gives no thread for worker " + std::to_string(index_), failure.code().value()));
  }
}

bool Worker::join(std::chrono::milliseconds patience) {
  if (!thread_.joinable()) return true;
  if (ended_.get_future().wait_for(patience) != std::future_status::ready) return false;
  thread_.join();
  return true;
}

std::chrono::nanoseconds Worker::cpu_time() {
  clockid_t clock{};
  timespec used{};
  if (!thread_.joinable() || ::pthread_getcpuclockid(thread_.native_handle(), &clock) != 0 ||
      ::clock_gettime(clock, &used) != 0)
    return {};
  return std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
}

void Worker::run() {
  ::pthread_setname_np(::pthread_self(), name_of(index_).c_str());
  loop_.run();
  ended_.set_value();
}

void Worker::handle(OpenListener command) {
  auto listener = command.ticket->take();
  if (!listener) return;  // it took so long that another worker has it
  const std::uint64_t id = command.stream.id;
  if (accepts_) {
    listeners_.open(std::move(command.stream), std::move(*listener));
  } else if (keeper_ != nullptr && !keeper_->is_leaving()) {
    net::stop_listening(listener->get());
  }
  report_(ListenerOpened{id, std::move(command.ticket)});
}

void Worker::handle(const PauseListener& command) { listeners_.pause(command.stream_id); }

void Worker::handle(const ResumeListener& command) { listeners_.resume(command.stream_id); }

void Worker::handle(const CloseListener& command) {
  const std::uint64_t id = command.stream_id;
  if (command.ticket->claim([&] { listeners_.close(id); })) {
    report_(ListenerClosed{id});
  } else {
    listeners_.abandon(id);  // it took so long that the control thread has closed the socket
  }
}

void Worker::handle(const AbandonListener& command) { listeners_.abandon(command.stream_id); }

void Worker::handle(ChangeSpec command) {
  listeners_.change(command.stream_id, std::move(command.spec));
}

void Worker::handle(const LookForRoom&) { listeners_.on_room(); }

void Worker::handle(const LookForStreamRoom& command) {
  listeners_.on_stream_room(command.stream_id);
}

void Worker::handle(AdoptSession command) {
  if (drain_is_over_) {
    load_.fetch_sub(1, kRelaxed);
    end_early(command, core::EndReason::drained, {});
    report_if_drained();
    return;
  }
  const std::uint64_t stream_id = command.stream.id;
  const std::int64_t drained_at = command.stream.counters->drained_at.load(kRelaxed);
  NewClient client{std::move(command.client)};
  client.via = std::move(command.via);
  add_session(new_id(), std::move(command.stream), std::move(client), true);
  // The client was on its way while another worker stood still, and DrainStream was here first.
  if (drained_at != StreamCounters::kNotRemoved)
    handle(DrainStream{stream_id, std::chrono::milliseconds(drained_at) - loop_.now()});
}

void Worker::handle(ResumeSession command) {
  SC_KILL_POINT("resuming");
  load_.fetch_add(1, kRelaxed);
  StreamContext stream = command.stream;
  SessionEnd end = end_of_kept(command.id, command.kept);
  try {
    add_session(command.id, std::move(command.stream), std::move(command.kept), false);
  } catch (const std::exception& failure) {
    base::log::error("a kept session cannot go on", {{"reason", failure.what()}});
    load_.fetch_sub(1, kRelaxed);
    end.spec = stream.spec;
    StartFailure why = start_failure(failure);
    end.reason = why.reason;
    end.error = why.error;
    end.trouble = std::make_unique<SessionTrouble>(SessionTrouble{{}, std::move(why.detail)});
    chronicle_.ended(*stream.counters, std::move(end));
    leave(stream);
  }
}

// Nearly in order over all workers, as each is counted by all of them together.
core::SessionId Worker::new_id() {
  return (common_.last_session.fetch_add(1, kRelaxed) + 1) * kMost + index_;
}

// One that comes when the drain is over or that closes a ring: there was never a Session.
void Worker::end_early(const AdoptSession& command, core::EndReason reason, std::string detail) {
  net::reset_on_close(command.client.fd.get());
  command.stream.counters->sessions_total.fetch_add(1, kRelaxed);
  SessionEnd end;
  end.id = new_id();
  end.spec = command.stream.spec;
  end.client = net::PackedAddress(command.client.peer);
  end.reason = reason;
  if (!detail.empty())
    end.trouble = std::make_unique<SessionTrouble>(SessionTrouble{{}, std::move(detail)});
  end.times = SessionTimes{command.client.at, base::SystemClock().wall()};
  end.ended_after = end.times.since_accepted(std::chrono::steady_clock::now());
  chronicle_.ended(*command.stream.counters, std::move(end));
  leave(command.stream);
}

// The dialling stream did not find the ring: its worker took the address for another host's.
void Worker::end_ring(const StreamContext& stream, net::Accepted client, net::OwnDial& via) {
  net::StreamPath path = via.path();
  path.push_back(stream.spec->port);
  const std::string ring = net::describe_ring(path);
  via.set_ring(ring);
  end_early(AdoptSession{stream, std::move(client), nullptr}, core::EndReason::loop, ring);
}

// What can be told of a former process's session if it ends now; its backend is the address.
SessionEnd Worker::end_of_kept(core::SessionId id, const handoff::KeptSession& kept) {
  const handoff::SessionFacts facts = kept.record->facts();
  const handoff::SessionSlot& slot = kept.record->slot();
  SessionSpec spec;
  spec.port = facts.port;
  SessionEnd end;
  end.phase = core::SessionPhase::connect;
  if (kept.backend) {
    const net::Address address = net::peer_address(kept.backend.get());
    spec.backend = {address.ip(), address.port()};
    end.address = net::PackedAddress(address);
    const bool is_half_closed = slot.up_ended.load() != 0 || slot.down_ended.load() != 0;
    end.phase = is_half_closed ? core::SessionPhase::close : core::SessionPhase::relay;
  }
  end.id = id;
  end.spec = std::make_shared<const SessionSpec>(std::move(spec));
  end.client = net::PackedAddress(facts.peer);
  end.times = times_of_kept(facts);
  end.ended_after = end.times.since_accepted(std::chrono::steady_clock::now());
  end.bytes_in = facts.bytes_in;
  end.bytes_out = facts.bytes_out;
  return end;
}

// `drained`, as when a stream is removed without time for its sessions while the service runs. No
// stream counts it: those of the port, if it has one, are another's.
void Worker::handle(EndKeptSession command) {
  SessionEnd end = end_of_kept(command.id, command.kept);
  end.reason = core::EndReason::drained;
  net::end_connection(command.kept.client.get());
  SC_KILL_POINT("client_of_removed");
  if (command.kept.backend) net::end_connection(command.kept.backend.get());
  SC_KILL_POINT("ended_of_removed");
  for (auto* pipe : {&command.kept.up, &command.kept.down})
    if (*pipe) pipes_.discard(pipes_.adopt(std::move(**pipe)));
  chronicle_.ended_without_stream(end);
}

template <class Client>
void Worker::add_session(core::SessionId session_id, StreamContext stream, Client client,
                         bool is_young) {
  const StreamContext told = stream;
  auto session = std::make_unique<Session>(
      loop_, session_id, std::move(stream), std::move(client), options_,
      Pump::Resources{buffer_, &pipes_, copies_ ? &*copies_ : nullptr}, keeper_,
      [this, told](core::Reach reach, const auto& trouble) { on_dialed(told, reach, trouble); },
      [this, session_id](SessionEnd end) { on_session_end(session_id, std::move(end)); });
  chronicle_.began(*session);
  sessions_.emplace_hint(sessions_.end(), session_id, std::move(session));
  if (!pipes_due_.is_active()) pipes_due_.start(kPipesIdle);
  silent_peers_.add(session_id, is_young);
  if (is_young) watch_age(session_id, told.spec->durable);
  if (options_.keepalive.idle.count() == 0) return;
  young_.push_back({loop_.now() + kKeepaliveDelay, session_id});
  if (!keepalive_due_.is_active()) keepalive_due_.start(kKeepaliveDelay);
}

// The session is to be kept once it is `durable_after` old. One that is kept from its start sees to
// that itself; if it was refused then, it is tried once more at that age. Without a store a session
// is counted when it would have been kept.
void Worker::watch_age(core::SessionId session_id, core::Durability durable) {
  if (durable == core::Durability::off) return;
  const bool from_start = durable == core::Durability::early || options_.durable_after.count() == 0;
  if (from_start && keeper_ == nullptr) {
    common_.unkept.fetch_add(1, kRelaxed);
  } else if (options_.durable_after.count() > 0) {
    passing_.push_back({loop_.now() + options_.durable_after, session_id});
    if (!durable_due_.is_active()) durable_due_.start(options_.durable_after);
  }
}

void Worker::on_durable_due() {
  while (!passing_.empty() && passing_.front().until <= loop_.now()) {
    const auto found = sessions_.find(passing_.front().session_id);
    if (found != sessions_.end() && !found->second->keep() && keeper_ == nullptr)
      common_.unkept.fetch_add(1, kRelaxed);
    passing_.pop_front();
  }
  if (!passing_.empty())
    durable_due_.start(std::max(passing_.front().until - loop_.now(), kDurableSlack));
}

void Worker::on_keepalive_due() {
  while (!young_.empty() && young_.front().until <= loop_.now()) {
    const auto found = sessions_.find(young_.front().session_id);
    if (found != sessions_.end()) found->second->keep_alive();
    young_.pop_front();
  }
  if (!young_.empty()) keepalive_due_.start(young_.front().until - loop_.now());
}

void Worker::on_pipes_due() {
  pipes_.trim();
  if (pipes_.at_rest() > 0 || !sessions_.empty()) pipes_due_.start(kPipesIdle);
}

// Who waits for this room may be another worker's listener.
void Worker::leave(const StreamContext& stream) {
  if (admission_.leave(*stream.counters))
    peers_[stream.counters->home.load(kRelaxed)]->send(LookForStreamRoom{stream.id});
}

void Worker::handle(const ListSessions& command) {
  const SessionFilter filter(command.query);
  SessionsListed answer{command.number, index_, {}, {}};
  auto next = command.query.before ? sessions_.lower_bound(*command.query.before) : sessions_.end();
  for (std::size_t looked_at = 0; next != sessions_.begin(); ++looked_at) {
    if (looked_at == kListedAtOnce || answer.sessions.size() == command.query.limit) {
      answer.rest = next->first;
      break;
    }
    --next;
    if (filter.lets_through(*next->second)) answer.sessions.push_back(next->second->running());
  }
  report_(std::move(answer));
}

void Worker::handle(const LookUpSession& command) {
  const auto found = sessions_.find(command.id);
  SessionLookedUp answer{command.number, {}};
  if (found != sessions_.end()) answer.details = found->second->details();
  report_(std::move(answer));
}

void Worker::handle(const KillSession& command) {
  SessionKilled answer{command.number, {}};
  const auto found = sessions_.find(command.id);
  killed_ = &answer.ended;
  if (found != sessions_.end()) found->second->cut(core::EndReason::killed);
  killed_ = nullptr;
  report_(std::move(answer));
}

void Worker::handle(const DrainStream& command) {
  const std::uint64_t id = command.stream_id;
  if (command.limit.count() <= 0) {
    cut_sessions(id, core::EndReason::drained);
    return;
  }
  auto timer = std::make_unique<loop::Timer>(loop_, [this, id] {
    cut_sessions(id, core::EndReason::drained);
    drains_.erase(id);
  });
  timer->start(command.limit);
  drains_.insert_or_assign(id, std::move(timer));
}

void Worker::handle(const StopAccepting& command) {
  command.leaves ? listeners_.leave() : listeners_.close_all();
  accepts_ = false;
  report_(AcceptingStopped{index_, command.leaves});
}

void Worker::handle(const DrainAll& command) {
  draining_ = true;
  drain_all_ = std::make_unique<loop::Timer>(loop_, [this] { on_drain_limit(); });
  drain_all_->start(command.limit);
  report_if_drained();
}

void Worker::on_drain_limit() {
  drain_is_over_ = true;
  cut_ = sessions_.size();
  cut_sessions(std::nullopt, core::EndReason::drained);  // the last one's end reports
}

// In order: nothing is kept any more after leave(), and nothing is let go.
void Worker::handle(const HandOver&) {
  HandedOver handed;
  handed.worker = index_;
  keeper_->set_patience(kManagerPatience);
  std::vector<core::SessionId> ending;
  for (const auto& [id, session] : sessions_) {
    session->keep_at_last() ? void(++handed.kept) : ending.push_back(id);
    SC_KILL_POINT("handing_over");
  }
  for (const core::SessionId id : ending) {
    sessions_.at(id)->cut(core::EndReason::drained);
    ++handed.cut;
  }
  keeper_->leave();
  SC_KILL_POINT("left");
  sessions_.clear();
  report_(handed);
}

void Worker::handle(const Probe& command) {
  report_(Probed{index_, std::chrono::steady_clock::now() - command.sent_at, pipes_.alive(),
                 pipes_.at_rest()});
  keep_again_.look();
}

void Worker::handle(const Shutdown&) {
  accepts_ = false;
  draining_ = false;
  drain_is_over_ = true;
  listeners_.close_all();
  cut_sessions(std::nullopt, core::EndReason::drained);
  drains_.clear();
  drain_all_.reset();
  young_.clear();
  passing_.clear();
  durable_due_.stop();
  keepalive_due_.stop();
  pipes_due_.stop();
  keep_again_.stop();
  silent_peers_.stop();
  chronicle_.flush();
  loop_.stop();
}

void Worker::place(const StreamContext& stream, net::Accepted client) {
  SC_KILL_POINT("accepted");
  auto via = options_.paths != nullptr ? options_.paths->take(stream.spec->port, client) : nullptr;
  if (via && via->closes_ring_at(stream.spec->port))
    return end_ring(stream, std::move(client), *via);
  // One of a stream that is durable early is kept at once, by this worker.
  if (keeper_ != nullptr && stream.spec->durable == core::Durability::early && !drain_is_over_) {
    load_.fetch_add(1, kRelaxed);
    NewClient kept = keep_at_once(*keeper_, *stream.spec, std::move(client), spares_);
    kept.via = std::move(via);
    add_session(new_id(), stream, std::move(kept), true);
    // For the next one.
    spares_.refill();
    keeper_->prepare();
    return;
  }
  Worker* target = this;
  for (const auto& peer : peers_)
    if (peer->load() + kWorthMoving <= load() && peer->load() < target->load() && !peer->is_still())
      target = peer.get();
  AdoptSession adopt{stream, std::move(client), std::move(via)};
  if (target == this) {
    load_.fetch_add(1, kRelaxed);
    handle(std::move(adopt));
  } else {
    target->adopt(std::move(adopt));
  }
}

void Worker::on_dialed(const StreamContext& stream, core::Reach reach, const std::string& trouble) {
  if (stream.counters->note_reach(reach, loop_.now()))
    report_(BackendNote{stream.id, reach, trouble});
}

void Worker::on_session_end(core::SessionId id, SessionEnd end) {
  const auto found = sessions_.find(id);
  if (killed_ != nullptr) *killed_ = to_told(end);
  chronicle_.ended(*found->second->stream().counters, std::move(end));
  leave(found->second->stream());
  sessions_.erase(found);
  load_.fetch_sub(1, kRelaxed);
  report_if_drained();
}

void Worker::cut_sessions(std::optional<std::uint64_t> stream_id, core::EndReason reason) {
  std::vector<std::uint64_t> chosen;  // a session leaves the map as it is cut
  for (const auto& [id, session] : sessions_)
    if (!stream_id || session->stream().id == *stream_id) chosen.push_back(id);
  for (const std::uint64_t id : chosen) sessions_.at(id)->cut(reason);
}

void Worker::report_if_drained() {
  if (!draining_ || load() > 0) return;
  draining_ = false;
  drain_all_.reset();
  report_(Drained{index_, cut_});
}

}  // namespace sc::relay
