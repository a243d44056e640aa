#include "core/conductor.h"

#include <utility>

#include "base/log.h"
#include "core/unrecorded.h"

namespace sc::core {
namespace {

// The actor of what the service does by itself.
constexpr std::string_view kService = "service";

std::string port_text(std::uint16_t port) { return std::to_string(port); }

void log_change(std::string_view what, const Stream& stream, const std::string& actor) {
  base::log::info(what, {{"port", port_text(stream.spec.port)},
                         {"backend", base::to_string(stream.spec.backend)},
                         {"actor", actor}});
}

// The stream that was seen, not one that was made at its port since.
bool is_same(const Stream& now, const Stream& seen) {
  return now.spec == seen.spec && now.created_at == seen.created_at &&
         now.revision == seen.revision;
}

base::Error with_prefix(std::string prefix, const base::Error& error) {
  return {error.code, std::move(prefix) + error.message};
}

}  // namespace

Conductor::Conductor(ConductorOptions options, StreamStore& store, DataPlane& plane,
                     const base::Clock& clock)
    : options_(std::move(options)), store_(store), plane_(plane), clock_(clock) {}

void Conductor::boot(const StoredStreams& stored, base::Callback<void(BootReport)> on_done) {
  BootReport report;
  std::vector<StoreWrite> writes;
  note_unreadable(stored.unreadable);
  for (Event& change : unrecorded_changes(stored, clock_.wall())) {
    base::log::info("stream was changed by hand",
                    {{"port", port_text(change.port)},
                     {"action", std::string(to_string(change.action))},
                     {"before", change.backend_before},
                     {"after", change.backend_after}});
    writes.emplace_back(AppendEvent{std::move(change)});
  }
  for (Stream stream : stored.streams) {
    stream.reason.clear();
    open(stream);
    const bool opened = stream.state == StreamState::listening;
    ++(opened ? report.opened : report.failed);
    if (!options_.ports.contains(stream.spec.port))
      base::log::warning(
          "stream is outside of the range for new ones, opened all the same",
          {{"port", port_text(stream.spec.port)}, {"range", options_.ports.to_string()}});
    writes.emplace_back(NoteStream{stream});
    writes.emplace_back(
        event(opened ? EventAction::reopened : EventAction::failed, stream, std::string(kService)));
    queue_.enter(stream.spec.port, [] {});  // held until the store has answered
    streams_.insert_or_assign(stream.spec.port, std::move(stream));
  }
  tell_retry_at();
  std::vector<std::uint16_t> ports;
  for (const Stream& stream : stored.streams) ports.push_back(stream.spec.port);
  store_.commit(std::move(writes), [this, ports = std::move(ports), report,
                                    done = std::move(on_done)](base::Result<void> saved) mutable {
    if (!saved)
      base::log::error("history of the boot was not written", {{"reason", saved.error().message}});
    for (const std::uint16_t port : ports) queue_.leave(port);
    done(report);
  });
}

void Conductor::note_unreadable(const std::vector<UnreadableRow>& rows) {
  unreadable_.clear();
  for (const UnreadableRow& row : rows) {
    base::log::error("row of the database is no stream", {{"row", row.row}, {"reason", row.why}});
    if (row.port != 0) unreadable_.insert(row.port);
  }
}

void Conductor::create(const StreamSpec& spec, const std::string& actor,
                       base::Callback<void(base::Result<Stream>)> on_done) {
  queue_.enter(spec.port, [this, spec, actor, done = std::move(on_done)]() mutable {
    create_at_port(spec, actor, std::move(done));
  });
}

void Conductor::create_at_port(const StreamSpec& spec, const std::string& actor,
                               base::Callback<void(base::Result<Stream>)> on_done) {
  if (stopping_) {
    queue_.leave(spec.port);
    on_done(base::Error{base::Errc::unavailable, "the service is stopping"});
    return;
  }
  if (const auto known = streams_.find(spec.port); known != streams_.end()) {
    create_again(known->second, spec, actor, std::move(on_done));
    return;
  }
  auto in_range = check_in_range(spec.port, options_.ports);
  auto listener = in_range ? plane_.prepare(spec.port) : in_range.error();
  if (!listener) {
    queue_.leave(spec.port);
    on_done(listener.error());
    return;
  }
  Stream stream;
  stream.spec = spec;
  stream.created_at = stream.updated_at = clock_.wall();
  stream.created_by = actor;
  std::vector<StoreWrite> writes{AddStream{stream}, event(EventAction::created, stream, actor)};
  store_.commit(std::move(writes), [this, stream, actor, held = std::move(*listener),
                                    done = std::move(on_done)](base::Result<void> saved) mutable {
    base::Result<Stream> answer = stream;
    if (saved && stopping_) {
      undo_create(stream, std::move(done));
      return;
    }
    if (saved) {
      plane_.activate(std::move(held), stream.spec);
      streams_.emplace(stream.spec.port, stream);
      log_change("stream created", stream, actor);
    } else {
      held.reset();
      answer = with_prefix("the stream was not saved: ", saved.error());
      base::log::error("stream was not created", {{"port", port_text(stream.spec.port)},
                                                  {"actor", actor},
                                                  {"reason", saved.error().message}});
    }
    queue_.leave(stream.spec.port);
    done(std::move(answer));
  });
}

// The row is on disk, but no worker takes its listener any more.
void Conductor::undo_create(const Stream& stream,
                            base::Callback<void(base::Result<Stream>)> on_done) {
  const std::uint16_t port = stream.spec.port;
  store_.commit(
      {EraseStream{port}, event(EventAction::removed, stream, std::string(kService))},
      [this, port, done = std::move(on_done)](base::Result<void> saved) mutable {
        queue_.leave(port);
        done(base::Error{base::Errc::unavailable,
                         saved ? "the service is stopping"
                               : "the stream is saved, but the service is stopping: its port opens "
                                 "when the service starts again"});
      });
}

// The port has a stream, and its row is on disk if nobody has changed that by hand: which is asked
// for before the answer.
void Conductor::create_again(Stream& stream, const StreamSpec& spec, const std::string& actor,
                             base::Callback<void(base::Result<Stream>)> on_done) {
  const std::uint16_t port = spec.port;
  if (stream.spec != spec) {
    base::Error taken{base::Errc::conflict, "port " + port_text(port) + " has a stream to " +
                                                base::to_string(stream.spec.backend) + " already"};
    queue_.leave(port);
    on_done(std::move(taken));
    return;
  }
  std::vector<StoreWrite> writes;
  if (stream.state == StreamState::failed) {
    const std::string reason_before = stream.reason;
    open(stream);
    tell_retry_at();
    if (stream.state == StreamState::failed) {
      base::Error error{base::Errc::conflict,
                        "the stream exists, but its port cannot be opened: " + stream.reason};
      note_failure(stream, reason_before);
      on_done(std::move(error));
      return;
    }
    log_change("stream opened", stream, actor);
    writes = {AddStream{stream}, NoteStream{stream}, event(EventAction::opened, stream, actor)};
  } else {
    writes = {AddStream{stream}};
  }
  store_.commit(std::move(writes),
                [this, stream, done = std::move(on_done)](base::Result<void> saved) mutable {
                  queue_.leave(stream.spec.port);
                  if (stopping_) {
                    done(base::Error{base::Errc::unavailable, "the service is stopping"});
                  } else if (saved) {
                    done(std::move(stream));
                  } else {
                    done(with_prefix("the stream runs, but is not stored so: ", saved.error()));
                  }
                });
}

// It is still failed. Leaves the port, at once or when the store has taken another reason.
void Conductor::note_failure(const Stream& stream, const std::string& reason_before) {
  if (stream.reason != reason_before) {
    record(stream.spec.port, {NoteStream{stream}});
  } else {
    queue_.leave(stream.spec.port);
  }
}

void Conductor::remove(std::uint16_t port, const std::string& actor,
                       base::Callback<void(base::Result<void>)> on_done) {
  queue_.enter(port, [this, port, actor, done = std::move(on_done)]() mutable {
    remove_at_port(port, actor, std::move(done));
  });
}

void Conductor::remove_at_port(std::uint16_t port, const std::string& actor,
                               base::Callback<void(base::Result<void>)> on_done) {
  const auto known = streams_.find(port);
  if (known == streams_.end()) {
    if (unreadable_.contains(port)) return remove_row(port, actor, std::move(on_done));
    queue_.leave(port);
    on_done(base::Error{base::Errc::not_found, "no stream has port " + port_text(port)});
    return;
  }
  const bool listens = known->second.state == StreamState::listening;
  if (listens) plane_.pause(port);
  std::vector<StoreWrite> writes{EraseStream{port},
                                 event(EventAction::removed, known->second, actor)};
  store_.commit(std::move(writes), [this, port, actor, listens,
                                    done = std::move(on_done)](base::Result<void> saved) mutable {
    if (!saved) {
      if (listens) plane_.resume(port);
      base::log::error(
          "stream was not removed",
          {{"port", port_text(port)}, {"actor", actor}, {"reason", saved.error().message}});
      queue_.leave(port);
      done(with_prefix("the removal was not saved, the stream goes on: ", saved.error()));
      return;
    }
    log_change("stream removed", streams_.at(port), actor);
    streams_.erase(port);
    retries_.forget(port);
    tell_retry_at();
    auto finish = [this, port, held = std::move(done)]() mutable {
      queue_.leave(port);
      held(base::Result<void>{});
    };
    if (listens) {
      plane_.close(port, options_.drain_timeout, std::move(finish));
    } else {
      finish();
    }
  });
}

// A row that is no stream: nothing runs.
void Conductor::remove_row(std::uint16_t port, const std::string& actor,
                           base::Callback<void(base::Result<void>)> on_done) {
  Stream unknown;
  unknown.spec.port = port;
  AppendEvent removed = event(EventAction::removed, unknown, actor);
  removed.event.backend_before.clear();
  removed.event.detail = "its row was no stream";
  store_.commit({EraseStream{port}, std::move(removed)},
                [this, port, done = std::move(on_done)](base::Result<void> saved) mutable {
                  if (saved) unreadable_.erase(port);
                  queue_.leave(port);
                  done(std::move(saved));
                });
}

void Conductor::reload(const std::string& actor,
                       base::Callback<void(base::Result<ReloadReport>)> on_done) {
  store_.load([this, actor, done = std::move(on_done)](base::Result<StoredStreams> stored) mutable {
    if (!stored) {
      done(stored.error());
      return;
    }
    // A row that was spoilt by hand ends nothing: its stream stays as it runs.
    std::vector<Stream> running = list();
    note_unreadable(stored->unreadable);
    std::erase_if(running,
                  [&](const Stream& stream) { return unreadable_.contains(stream.spec.port); });
    ReloadReport report;
    for (const ReconcileAction& action : reconcile(stored->streams, running)) {
      if (const auto* closing = std::get_if<CloseStream>(&action)) {
        ++report.closed;
        queue_.enter(closing->seen.spec.port,
                     [this, seen = closing->seen, actor] { close_unstored(seen, actor); });
      } else if (const auto* changing = std::get_if<ChangeStream>(&action)) {
        ++report.changed;
        queue_.enter(changing->stream.spec.port,
                     [this, wanted = changing->stream, seen = changing->seen, actor] {
                       change_backend(wanted, seen, actor);
                     });
      } else if (const auto* opening = std::get_if<OpenStream>(&action)) {
        ++report.opened;
        queue_.enter(opening->stream.spec.port,
                     [this, wanted = opening->stream, actor] { open_stored(wanted, actor); });
      }
    }
    done(report);
  });
}

void Conductor::open_stored(const Stream& wanted, const std::string& actor) {
  const std::uint16_t port = wanted.spec.port;
  if (stopping_ || streams_.contains(port)) {  // created meanwhile
    queue_.leave(port);
    return;
  }
  Stream stream = wanted;
  stream.reason.clear();
  open(stream);
  tell_retry_at();
  std::vector<StoreWrite> writes{NoteStream{stream}, event(EventAction::created, stream, actor)};
  if (stream.state == StreamState::failed)
    writes.emplace_back(event(EventAction::failed, stream, std::string(kService)));
  log_change("stream created", stream, actor);
  streams_.emplace(port, std::move(stream));
  record(port, std::move(writes));
}

void Conductor::change_backend(const Stream& wanted, const Stream& seen, const std::string& actor) {
  const std::uint16_t port = wanted.spec.port;
  const auto known = streams_.find(port);
  if (stopping_ || known == streams_.end() || !is_same(known->second, seen)) {  // not any more
    queue_.leave(port);
    return;
  }
  Stream& stream = known->second;
  AppendEvent changed = event(EventAction::changed, stream, actor);
  stream.spec = wanted.spec;
  changed.event.backend_after = base::to_string(stream.spec.backend);
  stream.updated_at = clock_.wall();
  ++stream.revision;
  if (stream.state == StreamState::listening) {
    stream.reason.clear();
    plane_.change(stream.spec);
  }
  log_change("stream changed", stream, actor);
  record(port, {NoteStream{stream}, std::move(changed)});
}

void Conductor::close_unstored(const Stream& seen, const std::string& actor) {
  const std::uint16_t port = seen.spec.port;
  const auto known = streams_.find(port);
  if (stopping_ || known == streams_.end() || !is_same(known->second, seen)) {  // not any more
    queue_.leave(port);
    return;
  }
  const Stream gone = std::move(known->second);
  streams_.erase(known);
  retries_.forget(port);
  tell_retry_at();
  log_change("stream removed", gone, actor);
  auto write = [this, port, removed = event(EventAction::removed, gone, actor)] {
    record(port, {removed});
  };
  if (gone.state == StreamState::listening) {
    plane_.close(port, options_.drain_timeout, write);
  } else {
    write();
  }
}

std::vector<Stream> Conductor::list() const {
  std::vector<Stream> out;
  out.reserve(streams_.size());
  for (const auto& [port, stream] : streams_) out.push_back(stream);
  return out;
}

const Stream* Conductor::find(std::uint16_t port) const {
  const auto known = streams_.find(port);
  return known == streams_.end() ? nullptr : &known->second;
}

base::Result<std::uint16_t> Conductor::free_port(const std::optional<PortRanges>& only) {
  for (const PortRange& range : options_.ports.ranges()) {
    // An int, as a range may end at 65535.
    for (int candidate = range.first; candidate <= range.last; ++candidate) {
      const auto port = static_cast<std::uint16_t>(candidate);
      if (only && !only->contains(port)) continue;
      if (streams_.contains(port) || unreadable_.contains(port) || queue_.is_busy(port)) continue;
      const auto listener = plane_.prepare(port);
      if (listener) return port;  // bound and let go again
      if (listener.error().code == base::Errc::unavailable) return listener.error();
    }
  }
  return base::Error{base::Errc::unavailable,
                     "every port of " + options_.ports.to_string() + " is taken"};
}

void Conductor::note_backend(std::uint16_t port, const std::string& trouble) {
  queue_.enter(port, [this, port, trouble] {
    const auto known = streams_.find(port);
    if (known == streams_.end() || known->second.state != StreamState::listening ||
        known->second.reason == trouble) {
      queue_.leave(port);
      return;
    }
    Stream& stream = known->second;
    stream.reason = trouble;
    if (trouble.empty()) {
      base::log::info("backend answers again", {{"port", port_text(port)}});
    } else {
      base::log::warning("backend is not reached",
                         {{"port", port_text(port)}, {"reason", trouble}});
    }
    record(port, {NoteStream{stream}});
  });
}

void Conductor::set_on_retry_at(OnRetryAt on_retry_at) {
  on_retry_at_ = std::move(on_retry_at);
  tell_retry_at();
}

void Conductor::tell_retry_at() {
  if (on_retry_at_) on_retry_at_(retries_.next());
}

void Conductor::stop() { stopping_ = true; }

void Conductor::retry_due() {
  if (stopping_) return;
  const base::Instant now = clock_.steady();
  for (const std::uint16_t port : retries_.due(now)) {
    if (queue_.is_busy(port)) {
      retries_.failed(port, now);  // its next turn, or it would be due all the time
    } else {
      queue_.enter(port, [this, port] { retry_at_port(port); });
    }
  }
  tell_retry_at();
}

void Conductor::retry_at_port(std::uint16_t port) {
  const auto known = streams_.find(port);
  if (stopping_ || known == streams_.end() || known->second.state != StreamState::failed) {
    queue_.leave(port);
    return;
  }
  Stream& stream = known->second;
  const std::string reason_before = stream.reason;
  open(stream);  // tell_retry_at() is the caller's, once for all
  if (stream.state == StreamState::failed) {
    note_failure(stream, reason_before);
    return;
  }
  log_change("stream opened", stream, std::string(kService));
  record(port, {NoteStream{stream}, event(EventAction::opened, stream, std::string(kService))});
}

void Conductor::open(Stream& stream) {
  const bool was_failed = stream.state == StreamState::failed;
  if (auto listener = plane_.prepare(stream.spec.port)) {
    plane_.activate(std::move(*listener), stream.spec);
    stream.state = StreamState::listening;
    stream.reason.clear();
    retries_.forget(stream.spec.port);
  } else {
    if (!was_failed || stream.reason != listener.error().message)
      base::log::warning("stream cannot open, will be tried again",
                         {{"port", port_text(stream.spec.port)},
                          {"backend", base::to_string(stream.spec.backend)},
                          {"reason", listener.error().message}});
    stream.state = StreamState::failed;
    stream.reason = listener.error().message;
    retries_.failed(stream.spec.port, clock_.steady());
  }
  if (was_failed != (stream.state == StreamState::failed)) stream.updated_at = clock_.wall();
}

void Conductor::record(std::uint16_t port, std::vector<StoreWrite> writes) {
  store_.commit(std::move(writes), [this, port](base::Result<void> saved) {
    if (!saved)
      base::log::error("a change of state was not written to the database",
                       {{"port", port_text(port)}, {"reason", saved.error().message}});
    queue_.leave(port);
  });
}

AppendEvent Conductor::event(EventAction action, const Stream& stream,
                             const std::string& actor) const {
  Event event;
  event.at = clock_.wall();
  event.action = action;
  event.port = stream.spec.port;
  event.actor = actor;
  // What existed before and after: `changed` sets both itself.
  if (action != EventAction::created) event.backend_before = base::to_string(stream.spec.backend);
  if (action != EventAction::removed) event.backend_after = base::to_string(stream.spec.backend);
  if (action == EventAction::failed) event.detail = stream.reason;
  return {event};
}

}  // namespace sc::core
