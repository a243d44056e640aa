#include "store/stream_table.h"

#include <SQLiteCpp/Database.h>

#include <string>
#include <utility>

#include "base/clock.h"
#include "base/text.h"

namespace sc::store {
namespace {

// Ready for the next use however this one ends: a statement that failed must be reset as well.
struct Use {
  explicit Use(SQLite::Statement& used) : statement(used) {}
  Use(const Use&) = delete;
  Use& operator=(const Use&) = delete;
  ~Use() {
    statement.tryReset();
    statement.clearBindings();
  }
  SQLite::Statement& statement;
};

void bind_or_null(SQLite::Statement& statement, int place, const std::string& text) {
  if (text.empty()) {
    statement.bind(place);
  } else {
    statement.bind(place, text);
  }
}

core::StreamState parse_state(const std::string& text) {
  return text == "failed" ? core::StreamState::failed : core::StreamState::listening;
}

}  // namespace

StreamTable::StreamTable(SQLite::Database& connection)
    : add_(connection,
           "INSERT INTO streams (port, backend, state, reason, created_at, updated_at, created_by,"
           " revision) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (port) DO NOTHING"),
      note_(connection,
            "UPDATE streams SET state = ?, reason = ?, updated_at = ?, revision = ?"
            " WHERE port = ? AND backend = ?"),
      erase_(connection, "DELETE FROM streams WHERE port = ?"),
      append_(connection,
              "INSERT INTO stream_events (at, action, port, actor, backend_before, backend_after,"
              " detail) VALUES (?, ?, ?, ?, ?, ?, ?)"),
      select_(connection,
              "SELECT port, backend, state, reason, created_at, updated_at, created_by, revision"
              " FROM streams ORDER BY port"),
      find_(connection, "SELECT backend FROM streams WHERE port = ?"),
      recorded_(connection,
                "SELECT port, backend_after FROM stream_events"
                " WHERE id IN (SELECT max(id) FROM stream_events GROUP BY port)"
                " AND action <> 'removed' AND backend_after IS NOT NULL") {}

base::Result<void> StreamTable::write(const core::StoreWrite& write) {
  if (const auto* add = std::get_if<core::AddStream>(&write)) return this->add(add->stream);
  if (const auto* note = std::get_if<core::NoteStream>(&write)) {
    this->note(note->stream);
  } else if (const auto* erase = std::get_if<core::EraseStream>(&write)) {
    const Use use(erase_);
    erase_.bind(1, static_cast<int>(erase->port));
    erase_.exec();
  } else if (const auto* append = std::get_if<core::AppendEvent>(&write)) {
    this->append(append->event);
  }
  return {};
}

base::Result<void> StreamTable::add(const core::Stream& stream) {
  const Use use(add_);
  add_.bind(1, static_cast<int>(stream.spec.port));
  add_.bind(2, base::to_string(stream.spec.backend));
  add_.bind(3, std::string(core::to_string(stream.state)));
  bind_or_null(add_, 4, stream.reason);
  add_.bind(5, base::to_iso8601(stream.created_at));
  add_.bind(6, base::to_iso8601(stream.updated_at));
  add_.bind(7, stream.created_by);
  add_.bind(8, stream.revision);
  if (add_.exec() > 0) return {};
  const Use lookup(find_);
  find_.bind(1, static_cast<int>(stream.spec.port));
  const std::string present = find_.executeStep() ? find_.getColumn(0).getString() : "";
  const std::string port = std::to_string(stream.spec.port);
  const auto spec = core::make_spec(port, present);
  if (spec && *spec == stream.spec) return {};
  const std::string what =
      "the database has a row for port " + port + " that was written by hand, ";
  return base::Error{
      base::Errc::conflict,
      what + (spec ? "to " + present + "; a reload takes it up"
                   : base::quoted(present) + ", and is no stream; reload, and removing the port "
                                             "takes it away")};
}

void StreamTable::note(const core::Stream& stream) {
  const Use use(note_);
  note_.bind(1, std::string(core::to_string(stream.state)));
  bind_or_null(note_, 2, stream.reason);
  note_.bind(3, base::to_iso8601(stream.updated_at));
  note_.bind(4, stream.revision);
  note_.bind(5, static_cast<int>(stream.spec.port));
  note_.bind(6, base::to_string(stream.spec.backend));
  note_.exec();
}

void StreamTable::append(const core::Event& event) {
  const Use use(append_);
  append_.bind(1, base::to_iso8601(event.at));
  append_.bind(2, std::string(core::to_string(event.action)));
  append_.bind(3, static_cast<int>(event.port));
  bind_or_null(append_, 4, event.actor);
  bind_or_null(append_, 5, event.backend_before);
  bind_or_null(append_, 6, event.backend_after);
  bind_or_null(append_, 7, event.detail);
  append_.exec();
}

core::StoredStreams StreamTable::read() {
  const Use use(select_);
  core::StoredStreams out;
  const Use recorded(recorded_);
  while (recorded_.executeStep())
    out.recorded.emplace(static_cast<std::uint16_t>(recorded_.getColumn(0).getInt()),
                         recorded_.getColumn(1).getString());
  while (select_.executeStep()) {
    const std::string port = select_.getColumn(0).getString();
    const std::string backend = select_.getColumn(1).getString();
    auto spec = core::make_spec(port, backend);
    const auto created = base::parse_iso8601(select_.getColumn(4).getString());
    const auto updated = base::parse_iso8601(select_.getColumn(5).getString());
    if (!spec || !created || !updated) {
      const std::string why = spec ? "its times are not ISO 8601" : spec.error().message;
      out.unreadable.push_back(
          {port + " -> " + base::quoted(backend), why, base::parse_port(port).value_or(0)});
      continue;
    }
    core::Stream stream;
    stream.spec = std::move(*spec);
    stream.state = parse_state(select_.getColumn(2).getString());
    stream.reason = select_.getColumn(3).getString();
    stream.created_at = *created;
    stream.updated_at = *updated;
    stream.created_by = select_.getColumn(6).getString();
    stream.revision = select_.getColumn(7).getInt64();
    out.streams.push_back(std::move(stream));
  }
  return out;
}

}  // namespace sc::store
