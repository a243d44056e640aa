#include "store/columns.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include "base/clock.h"
#include "base/text.h"
#include "core/revision.h"

namespace sc::store {
namespace {

base::Error wrong(const char* column, const std::string& text) {
  return {base::Errc::invalid, std::string(column) + " is " + base::quoted(text)};
}

void bind_duration(SQLite::Statement& statement, int place,
                   const std::optional<std::chrono::milliseconds>& duration) {
  bind_or_null(statement, place, duration ? base::format_duration(*duration) : "");
}

}  // namespace

void bind_or_null(SQLite::Statement& statement, int place, const std::string& text) {
  if (text.empty()) {
    statement.bind(place);
  } else {
    statement.bind(place, text);
  }
}

void bind_spec(SQLite::Statement& statement, int first, const core::StreamSpec& spec) {
  bind_or_null(statement, first, spec.listen_address);
  bind_or_null(statement, first + 1, spec.label);
  bind_or_null(statement, first + 2, spec.note);
  bind_or_null(statement, first + 3, spec.owner);
  statement.bind(first + 4, spec.enabled ? 1 : 0);
  bind_or_null(statement, first + 5, spec.expires_at ? base::to_iso8601(*spec.expires_at) : "");
  if (spec.max_sessions > 0) {
    statement.bind(first + 6, spec.max_sessions);
  } else {
    statement.bind(first + 6);
  }
  bind_duration(statement, first + 7, spec.connect_timeout);
  bind_duration(statement, first + 8, spec.idle_timeout);
  statement.bind(first + 9, std::string(core::to_string(spec.durable)));
  bind_duration(statement, first + 10, spec.lifetime);
}

base::Result<core::StreamSpec> read_spec(SQLite::Statement& statement, int first,
                                         const std::string& port, const std::string& backend) {
  auto spec = core::make_spec(port, backend);
  if (!spec) return spec;
  const auto text = [&](int place) { return statement.getColumn(first + place).getString(); };
  spec->listen_address = text(0);
  spec->label = text(1);
  spec->note = text(2);
  spec->owner = text(3);
  // NULL in events of versions that could not disable.
  spec->enabled =
      statement.isColumnNull(first + 4) || statement.getColumn(first + 4).getInt64() != 0;
  if (const std::string at = text(5); !at.empty()) {
    spec->expires_at = base::parse_iso8601(at);
    if (!spec->expires_at) return wrong("expires_at", at);
  }
  const std::int64_t most = statement.getColumn(first + 6).getInt64();  // 0 for NULL
  if (most < 0 || most > core::kMaxSessionsOfStream) return wrong("max_sessions", text(6));
  spec->max_sessions = static_cast<std::uint32_t>(most);
  if (const std::string duration = text(7); !duration.empty()) {
    spec->connect_timeout = base::parse_duration(duration);
    if (!spec->connect_timeout) return wrong("connect_timeout", duration);
  }
  if (const std::string duration = text(8); !duration.empty()) {
    spec->idle_timeout = base::parse_duration(duration);
    if (!spec->idle_timeout) return wrong("idle_timeout", duration);
  }
  // NULL in events of versions whose sessions all ended with the process.
  if (const std::string durable = text(9); !durable.empty()) {
    const auto parsed = core::parse_durability(durable);
    if (!parsed) return wrong("durable", durable);
    spec->durable = *parsed;
  }
  if (const std::string duration = text(10); !duration.empty()) {
    spec->lifetime = base::parse_duration(duration);
    if (!spec->lifetime) return wrong("lifetime", duration);
  }
  if (auto valid = core::validate(*spec); !valid) return valid.error();
  return spec;
}

std::int64_t read_revision(const SQLite::Column& column, std::int64_t least) {
  return std::clamp(column.getInt64(), least, core::kMostRevision);
}

}  // namespace sc::store
