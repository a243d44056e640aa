#include "handoff/vault.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <set>
#include <string_view>
#include <unordered_map>

#include "base/kill_point.h"
#include "base/log.h"
#include "base/pipe.h"
#include "handoff/copy_place.h"
#include "net/socket.h"

namespace sc::handoff {
namespace {

constexpr const char* kListenerGroup = "l";

// Which worker's: another number of workers than before shares them out.
std::size_t keeper_of(std::string_view capsule_name, std::size_t workers) {
  const std::string_view group = capsule_name.substr(
      1, capsule_name.find('-') == std::string_view::npos ? 0 : capsule_name.find('-') - 1);
  if (group == kListenerGroup) return workers;
  std::size_t number = 0;
  for (const char c : group)
    if (c >= '0' && c <= '9') number = number * 10 + static_cast<std::size_t>(c - '0');
  return number % workers;
}

std::size_t bytes_in(int pipe) {
  int bytes = 0;
  return ::ioctl(pipe, FIONREAD, &bytes) == 0 && bytes > 0 ? static_cast<std::size_t>(bytes) : 0;
}

// What nobody is left to take must not reach another session.
void drain(int pipe) {
  std::array<std::byte, 16 * 1024> buffer;
  while (::read(pipe, buffer.data(), buffer.size()) > 0) {
  }
}

// The host did not let us have all of them: it cannot go on.
bool is_incomplete(const FoundRecord& found) {
  if (found.record.kind == RecordKind::session) return found.fds.size() < 2;
  return found.record.kind == RecordKind::client && found.fds.empty();
}

void end_all_of(const FoundRecord& found) {
  base::log::error("a kept session is ended, as the host gives too few descriptors");
  for (const base::Fd& fd : found.fds) net::end_connection(fd.get());
}

// A session that ended in order does not reset its peers any more; one that was given up in another
// way may have been interrupted.
void end_half_done(const FoundRecord& found) {
  for (const base::Fd& fd : found.fds)
    if (net::resets_on_close(fd.get())) net::end_connection(fd.get());
}

std::optional<KeptPipe>& waiting_of(KeptSession& session, Direction direction) {
  return direction == Direction::up ? session.up : session.down;
}

bool put_into(KeptPipe& pipe, std::uint64_t owner, std::span<const std::byte> bytes) {
  pipe.record->claim(owner);
  SC_KILL_POINT("saved_claimed");
  const ssize_t kept = ::write(pipe.fd.get(), bytes.data(), bytes.size());
  SC_KILL_POINT("saved");
  pipe.bytes = bytes.size();
  return kept == static_cast<ssize_t>(bytes.size());
}

// Rather an open break than bytes that are missing or there twice.
void end_wrong(const KeptSession& session, const char* reason) {
  base::log::error("a kept session is ended", {{"reason", reason}});
  net::end_connection(session.client.get());
  if (session.backend) net::end_connection(session.backend.get());
}

// Of a session that nobody can use: its peers are told by a reset.
void end_all(const std::vector<StoredFd>& capsules) {
  std::size_t ended = 0;
  for (const StoredFd& capsule : capsules)
    for (const FoundRecord& found : look_into(capsule.fd.get()))
      for (const base::Fd& fd : found.fds)
        if (net::is_socket(fd.get())) {
          net::end_connection(fd.get());
          ++ended;
        }
  if (ended > 0)
    base::log::warning("what a former process has kept cannot be used and is ended",
                       {{"sockets", std::to_string(ended)}});
}

}  // namespace

struct Vault::Search {
  struct Candidate {
    std::size_t keeper = 0;
    std::vector<base::Fd> fds;
    std::unique_ptr<Kept> kept;
  };
  std::unordered_map<std::uint32_t, Candidate> sessions;  // by slot
  std::unordered_map<std::uint32_t, Candidate> pipes;
  std::set<std::uint64_t> sockets;  // cookies of listeners
  std::size_t stale = 0;
};

base::Result<std::unique_ptr<Vault>> Vault::open(StoreLink link, std::vector<StoredFd> stored,
                                                 std::size_t workers, std::uint32_t sessions) {
  std::vector<StoredFd> capsules;
  base::Fd table_file;
  for (StoredFd& each : stored) {
    if (each.name == kTableName) {
      table_file = std::move(each.fd);
    } else if (each.name.starts_with(kCapsulePrefix)) {
      capsules.push_back(std::move(each));
    }
  }
  std::unique_ptr<Table> table;
  if (table_file) {
    auto adopted = Table::adopt(std::move(table_file));
    if (adopted) {
      table = std::move(*adopted);
    } else {
      base::log::error("the table of a former process cannot be used",
                       {{"reason", adopted.error().message}});
      link.remove(kTableName);
    }
  }
  const bool is_inherited = table != nullptr;
  if (!is_inherited) {
    end_all(capsules);
    for (const StoredFd& each : capsules) link.remove(each.name);
    capsules.clear();
    auto made = Table::make(sessions);
    if (!made) return made.error();
    table = std::move(*made);
    if (!link.put_later(kTableName, table->fd()))
      return base::Error{base::Errc::unavailable, "the service manager takes no descriptors"};
    SC_KILL_POINT("table_stored");
  }
  std::unique_ptr<Vault> vault(new Vault(std::move(link), std::move(table), workers));
  vault->send_probe();
  if (is_inherited) {
    vault->table_->header().starts.fetch_add(1);
    SC_KILL_POINT("inherited");
    vault->search(std::move(capsules));
  }
  for (std::size_t i = 0; i < workers; ++i) vault->keepers_[i]->prepare();
  return vault;
}

Vault::Vault(StoreLink link, std::unique_ptr<Table> table, std::size_t workers)
    : link_(std::move(link)), table_(std::move(table)), pipes_(workers) {
  for (std::size_t i = 0; i < workers; ++i)
    keepers_.push_back(std::make_unique<Keeper>(link_, *table_, counters_, std::to_string(i)));
  keepers_.push_back(std::make_unique<Keeper>(link_, *table_, counters_, kListenerGroup, true));
}

// What was never taken dies before its keepers.
Vault::~Vault() {
  for (const auto& keeper : keepers_) keeper->leave();
}

void Vault::send_probe() {
  auto ends = make_capsule();
  if (!ends) return;
  link_.remove(kProbeName);  // the former process's
  SC_KILL_POINT("probing");
  link_.put_later(kProbeName, ends->outer.get());
  probe_ = std::move(ends->inner);
}

bool Vault::is_store_there() const { return probe_ && !is_hung_up(probe_.get()); }

void Vault::search(std::vector<StoredFd> capsules) {
  for (const auto& keeper : keepers_) keeper->begin_adopting();
  Search search;
  for (const StoredFd& each : capsules) look_into_capsule(search, each);
  capsules.clear();  // the manager has its own copies
  SC_KILL_POINT("looked");
  std::vector<bool> sessions(table_->header().sessions_used);
  std::vector<bool> pipes(table_->header().pipes_used);
  for (const auto& [slot, each] : search.sessions) sessions[slot] = true;
  for (const auto& [slot, each] : search.pipes) pipes[slot] = true;
  end_what_is_broken(search);
  end_where_pipes_are_missing(search);
  SC_KILL_POINT("missing_ended");
  table_->free_all_but(sessions, pipes);
  SC_KILL_POINT("slots_freed");
  for (auto& [slot, each] : search.sessions) {
    KeptSession session;
    session.keeper = each.keeper;
    session.client = std::move(each.fds[0]);
    if (each.fds.size() > 1) {
      session.backend = std::move(each.fds[1]);
    } else {
      net::reset_on_close(session.client.get());  // it may have been kept and no more
    }
    session.record = std::make_unique<SessionRecord>(*keepers_[each.keeper], std::move(each.kept));
    sessions_.push_back(std::move(session));
  }
  const Owners owners = this->owners();
  give_out_pipes(search, owners);
  SC_KILL_POINT("pipes_given");
  for (const auto& keeper : keepers_) keeper->flush();
  SC_KILL_POINT("recovered");
  // By now a session and whoever keeps its pipes are in capsules of the same worker.
  const std::size_t rescued = finish_copies(owners);
  SC_KILL_POINT("copies_finished");
  base::log::info("took over from a former process",
                  {{"sessions", std::to_string(sessions_.size())},
                   {"listeners", std::to_string(listeners_.size())},
                   {"stale", std::to_string(search.stale)},
                   {"rescued_messages", std::to_string(rescued)},
                   {"starts", std::to_string(table_->header().starts.load())}});
}

void Vault::look_into_capsule(Search& search, const StoredFd& stored) {
  const std::size_t keeper = keeper_of(stored.name, keepers_.size() - 1);
  std::vector<FoundRecord> all = look_into(stored.fd.get());
  std::vector<Keeper::Found> living;
  std::vector<FoundRecord> kept;
  for (FoundRecord& found : all) {
    settle_dialing(found);
    if (!is_living(search, keeper, found)) {
      ++search.stale;
      if (is_forgotten(found)) end_half_done(found);
      if (is_incomplete(found)) end_all_of(found);
      continue;
    }
    Keeper::Found one{found.record, {-1, -1}, found.fds.size()};
    for (std::size_t i = 0; i < found.fds.size(); ++i) one.fds[i] = found.fds[i].get();
    living.push_back(one);
    kept.push_back(std::move(found));
  }
  auto adopted = keepers_[keeper]->adopt(stored.name, all.size(), living);
  for (std::size_t i = 0; i < adopted.size(); ++i)
    take_in(search, keeper, std::move(kept[i]), std::move(adopted[i]));
  SC_KILL_POINT("capsule_seen");
}

// Was its slot given up, and not only this copy of it?
bool Vault::is_forgotten(const FoundRecord& found) const {
  const Record& record = found.record;
  return is_of_session(record.kind) &&
         (record.slot >= table_->header().sessions_used ||
          table_->session(record.slot).generation != record.generation);
}

// It is a session if its backend was reached by the socket that was kept with it. Else that socket
// is of no use: a client alone is dialled for again, or has its backend in a record of its own.
void Vault::settle_dialing(FoundRecord& found) const {
  if (found.record.kind != RecordKind::dialing || is_forgotten(found)) return;
  if (table_->session(found.record.slot).reached == Reached::by_first) {
    found.record.kind = RecordKind::session;
    return;
  }
  found.record.kind = RecordKind::client;
  if (found.fds.size() < 2) return;
  net::end_connection(found.fds[1].get());
  SC_KILL_POINT("dialing_ended");
  found.fds.pop_back();
}

// Does the table have it, and all of it come back, and not from another capsule already?
bool Vault::is_living(Search& search, std::size_t keeper, const FoundRecord& found) const {
  const Record& record = found.record;
  const bool is_workers = keeper + 1 < keepers_.size();
  switch (record.kind) {
    case RecordKind::dialing:  // nobody's: else it is one of the next two by now
      return false;
    case RecordKind::session:
    case RecordKind::client: {
      const std::size_t wanted = record.kind == RecordKind::session ? 2 : 1;
      if (!is_workers || found.fds.size() != wanted ||
          record.slot >= table_->header().sessions_used || record.generation == 0 ||
          table_->session(record.slot).generation != record.generation)
        return false;
      const auto known = search.sessions.find(record.slot);
      return known == search.sessions.end() || known->second.fds.size() < wanted;
    }
    case RecordKind::pipe:
      return is_workers && found.fds.size() == 1 && record.slot < table_->header().pipes_used &&
             record.generation != 0 && table_->pipe(record.slot).generation == record.generation &&
             !search.pipes.contains(record.slot);
    case RecordKind::listener:
      return !is_workers && found.fds.size() == 1 && net::is_listening(found.fds[0].get()) &&
             search.sockets.insert(net::socket_cookie(found.fds[0].get())).second;
  }
  return false;
}

void Vault::take_in(Search& search, std::size_t keeper, FoundRecord found,
                    std::unique_ptr<Kept> kept) {
  const std::uint32_t slot = found.record.slot;
  if (found.record.kind == RecordKind::listener) {
    const std::uint16_t port = net::local_address(found.fds[0].get()).port();
    listeners_.emplace(port, KeptListener{std::move(found.fds[0]), std::move(kept)});
  } else {
    auto& candidates = found.record.kind == RecordKind::pipe ? search.pipes : search.sessions;
    candidates.insert_or_assign(slot,
                                Search::Candidate{keeper, std::move(found.fds), std::move(kept)});
  }
}

void Vault::end_what_is_broken(Search& search) {
  for (const auto& [slot, each] : search.sessions) {
    const SessionSlot& at = table_->session(slot);
    if (at.broken == 0 && (at.reached == Reached::no || each.fds.size() > 1)) continue;
    for (const base::Fd& fd : each.fds) net::end_connection(fd.get());
  }
}

// A pipe that the table knows and no capsule has: the manager refused it. What was in it is lost,
// and a session must not go on as if nothing were missing.
void Vault::end_where_pipes_are_missing(Search& search) {
  for (std::uint32_t i = 0; i < table_->header().pipes_used; ++i) {
    const PipeSlot& pipe = table_->pipe(i);
    const std::uint64_t owner = pipe.owner;
    if (pipe.generation == 0 || owner == 0 || search.pipes.contains(i)) continue;
    const auto found = search.sessions.find(PipeOwner::slot(owner));
    if (found == search.sessions.end()) continue;
    const std::uint64_t generation = found->second.kept->record().generation;
    if (PipeOwner::pack(found->first, PipeOwner::direction(owner), generation) != owner) continue;
    base::log::error("a pipe of a session was not kept, the session is ended");
    for (const base::Fd& fd : found->second.fds) net::end_connection(fd.get());
  }
}

Vault::Owners Vault::owners() {
  Owners owners;
  for (KeptSession& session : sessions_)
    for (const Direction direction : {Direction::up, Direction::down})
      owners.emplace(session.record->owner(direction), Owned{&session, direction});
  return owners;
}

void Vault::give_out_pipes(Search& search, const Owners& owners) {
  for (auto& [slot, each] : search.pipes) {
    Keeper& keeper = *keepers_[each.keeper];
    KeptPipe pipe{std::move(each.fds[0]), 0,
                  std::make_unique<PipeRecord>(keeper, std::move(each.kept))};
    pipe.bytes = bytes_in(pipe.fd.get());
    const auto owner = owners.find(table_->pipe(slot).owner);
    // Of a session that was not kept, or has ended.
    if (pipe.bytes > 0 && owner == owners.end()) {
      drain(pipe.fd.get());
      pipe.bytes = 0;
    }
    if (pipe.bytes == 0) {
      pipes_[each.keeper].push_back(std::move(pipe));
      continue;
    }
    KeptSession& session = *owner->second.session;
    auto& place = waiting_of(session, owner->second.direction);
    if (place || session.keeper != each.keeper) {
      end_wrong(session, "bytes of a session are in two places");
    } else {
      place = std::move(pipe);
    }
  }
}

// What of a message was read and not written goes where the worker looks for it: into a pipe. True
// if there was anything; false too where nothing can be done, after the session was ended.
bool Vault::finish_copy(CopySlot& copy, Owned owned) {
  KeptSession& session = *owned.session;
  if (session.record->slot().broken != 0) return false;
  const bool is_up = owned.direction == Direction::up;
  const base::Fd& source = is_up ? session.client : session.backend;
  const base::Fd& sink = is_up ? session.backend : session.client;
  const auto rest = unsent(copy, source.get(), sink.get());
  if (!rest) {
    end_wrong(session, "it cannot be told how far a message of it got");
    return false;
  }
  auto& place = waiting_of(session, owned.direction);
  const std::size_t there = place ? place->bytes : 0;
  if (there > rest->size()) {
    end_wrong(session, "more of a message waits than was read");
    return false;
  }
  if (rest->empty()) return false;
  // The former process, or one that was killed here, may have come to it, perhaps not to its end.
  if (there == rest->size()) return true;
  if (place) {
    drain(place->fd.get());
  } else {
    place = free_pipe(session.keeper);
  }
  if (place && put_into(*place, copy.owner, *rest)) return true;
  place.reset();
  end_wrong(session, "the host gives no pipe for a message of it");
  return false;
}

// The largest one that is free, as where pipes are short there are some that take less than a
// message; or a new one.
std::optional<KeptPipe> Vault::free_pipe(std::size_t keeper) {
  std::vector<KeptPipe>& free = pipes_[keeper];
  if (free.empty()) {
    base::Fd fd = base::open_pipe();
    auto record = fd ? PipeRecord::make(*keepers_[keeper], fd.get()) : nullptr;
    if (!record) return std::nullopt;
    return KeptPipe{std::move(fd), 0, std::move(record)};
  }
  const auto largest =
      std::max_element(free.begin(), free.end(), [](const KeptPipe& a, const KeptPipe& b) {
        return base::pipe_capacity(a.fd.get()) < base::pipe_capacity(b.fd.get());
      });
  KeptPipe pipe = std::move(*largest);
  free.erase(largest);
  return pipe;
}

// Messages of which the former process was killed in the middle, one a worker at most. How many
// were read and not written to their end.
std::size_t Vault::finish_copies(const Owners& owners) {
  std::size_t rescued = 0;
  for (std::uint32_t i = 0; i < table_->header().copies_used; ++i) {
    CopySlot& copy = table_->copy(i);
    if (copy.owner == 0) continue;
    const auto found = owners.find(copy.owner);
    if (found != owners.end() && finish_copy(copy, found->second)) ++rescued;
    SC_KILL_POINT("copy_finished");
    CopyPlace(copy).end();
  }
  return rescued;
}

std::vector<KeptListener> Vault::take_listeners(std::uint16_t port) {
  std::vector<KeptListener> taken;
  const auto [first, last] = listeners_.equal_range(port);
  for (auto each = first; each != last; ++each) taken.push_back(std::move(each->second));
  listeners_.erase(first, last);
  return taken;
}

void Vault::end_listeners() {
  for (auto& [port, listener] : listeners_) net::stop_listening(listener.fd.get());
  listeners_.clear();
  SC_KILL_POINT("listeners_ended");
  listener_keeper().flush();
}

}  // namespace sc::handoff
