#include "store/stream_table.h"

#include <SQLiteCpp/Database.h>

#include <string>
#include <utility>

#include "base/clock.h"
#include "base/text.h"
#include "store/columns.h"

namespace sc::store {
namespace {

core::StreamState parse_state(const std::string& text) {
  return core::parse_stream_state(text).value_or(core::StreamState::listening);
}

std::string columns(std::string_view before, std::string_view after) {
  return std::string(before) + std::string(kSpecColumns) + std::string(after);
}

}  // namespace

StreamTable::StreamTable(SQLite::Database& connection)
    : events_(connection),
      traffic_(connection),
      add_(connection, columns("INSERT INTO streams (port, backend, state, reason, created_at,"
                               " updated_at, created_by, revision, ",
                               ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                               " ON CONFLICT (port) DO NOTHING")),
      replace_(connection, columns("UPDATE streams SET (backend, state, reason, updated_at,"
                                   " revision, ",
                                   ") = (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                                   " WHERE port = ?")),
      note_(connection,
            "UPDATE streams SET state = ?, reason = ?, updated_at = ?, revision = ?"
            " WHERE port = ? AND backend = ?"),
      erase_(connection, "DELETE FROM streams WHERE port = ?"),
      select_(connection, columns("SELECT port, backend, ",
                                  ", state, reason, created_at, updated_at, created_by, revision"
                                  " FROM streams ORDER BY port")),
      find_(connection, columns("SELECT backend, ", " FROM streams WHERE port = ?")) {}

base::Result<void> StreamTable::write(const core::StoreWrite& write) {
  if (const auto* add = std::get_if<core::AddStream>(&write)) return this->add(add->stream);
  if (const auto* replace = std::get_if<core::ReplaceStream>(&write))
    return this->replace(replace->stream, replace->seen);
  if (const auto* note = std::get_if<core::NoteStream>(&write)) {
    this->note(note->stream);
  } else if (const auto* erase = std::get_if<core::EraseStream>(&write)) {
    const Use use(erase_);
    erase_.bind(1, static_cast<int>(erase->port));
    erase_.exec();
  } else if (const auto* append = std::get_if<core::AppendEvent>(&write)) {
    events_.append(append->event);
  } else if (const auto* save = std::get_if<core::SaveTraffic>(&write)) {
    traffic_.save(*save);
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
  bind_spec(add_, 9, stream.spec);
  if (add_.exec() > 0) return {};
  const Use lookup(find_);
  find_.bind(1, static_cast<int>(stream.spec.port));
  const std::string present = find_.executeStep() ? find_.getColumn(0).getString() : "";
  const std::string port = std::to_string(stream.spec.port);
  const auto spec = read_spec(find_, 1, port, present);
  if (spec && *spec == stream.spec) return {};
  const std::string what =
      "the database has a row for port " + port + " that was written by hand, ";
  return base::Error{
      base::Errc::conflict,
      what + (spec ? "to " + present + "; a reload takes it up"
                   : base::quoted(present) + ", and is no stream; reload, and removing the port "
                                             "takes it away")};
}

base::Result<void> StreamTable::replace(const core::Stream& stream, const core::StreamSpec& seen) {
  const std::string port = std::to_string(stream.spec.port);
  {
    const Use lookup(find_);
    find_.bind(1, static_cast<int>(stream.spec.port));
    if (!find_.executeStep())
      return base::Error{base::Errc::conflict,
                         "the database's row for port " + port +
                             " was deleted by hand; a reload removes the stream"};
    const auto present = read_spec(find_, 1, port, find_.getColumn(0).getString());
    if (!present || *present != seen)
      return base::Error{base::Errc::conflict, "the database's row for port " + port +
                                                   " was changed by hand; a reload takes it up"};
  }
  const Use use(replace_);
  replace_.bind(1, base::to_string(stream.spec.backend));
  replace_.bind(2, std::string(core::to_string(stream.state)));
  bind_or_null(replace_, 3, stream.reason);
  replace_.bind(4, base::to_iso8601(stream.updated_at));
  replace_.bind(5, stream.revision);
  bind_spec(replace_, 6, stream.spec);
  replace_.bind(6 + kSpecColumnCount, static_cast<int>(stream.spec.port));
  replace_.exec();
  return {};
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

core::StoredStreams StreamTable::read() {
  const Use use(select_);
  core::StoredStreams out;
  out.recorded = events_.recorded();
  out.traffic = traffic_.read();
  constexpr int kRest = 2 + kSpecColumnCount;
  while (select_.executeStep()) {
    const std::string port = select_.getColumn(0).getString();
    const std::string backend = select_.getColumn(1).getString();
    auto spec = read_spec(select_, 2, port, backend);
    const auto created = base::parse_iso8601(select_.getColumn(kRest + 2).getString());
    const auto updated = base::parse_iso8601(select_.getColumn(kRest + 3).getString());
    if (!spec || !created || !updated) {
      const std::string why = spec ? "its times are not ISO 8601" : spec.error().message;
      out.unreadable.push_back(
          {port + " -> " + base::quoted(backend), why, base::parse_port(port).value_or(0)});
      continue;
    }
    core::Stream stream;
    stream.spec = std::move(*spec);
    stream.state = parse_state(select_.getColumn(kRest).getString());
    stream.reason = select_.getColumn(kRest + 1).getString();
    stream.created_at = *created;
    stream.updated_at = *updated;
    stream.created_by = select_.getColumn(kRest + 4).getString();
    stream.revision = read_revision(select_.getColumn(kRest + 5), 1);
    out.streams.push_back(std::move(stream));
  }
  return out;
}

}  // namespace sc::store
