#include "store/token_table.h"

#include <SQLiteCpp/Database.h>

#include <optional>
#include <utility>

#include "base/text.h"
#include "store/columns.h"

namespace sc::store {
namespace {

std::string to_text(const std::optional<base::WallTime>& time) {
  return time ? base::to_iso8601(*time) : std::string();
}

// A time that the CHECK let through and that is none, as of February 30, is long ago.
std::optional<base::WallTime> to_time(const SQLite::Column& column) {
  if (column.isNull()) return std::nullopt;
  return base::parse_iso8601(column.getString()).value_or(base::WallTime{});
}

std::optional<core::PortRanges> to_ports(const SQLite::Column& column) {
  if (column.isNull()) return std::nullopt;
  auto ranges = core::PortRanges::parse(column.getString());
  return ranges ? std::move(*ranges) : core::PortRanges{};
}

}  // namespace

TokenTable::TokenTable(SQLite::Database& connection)
    : select_(connection,
              "SELECT name, role, ports, sha256, created_at, expires_at, last_used_at, revoked_at"
              " FROM api_tokens ORDER BY name, id"),
      add_(connection,
           "INSERT INTO api_tokens (name, role, ports, sha256, created_at, expires_at)"
           " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (name) WHERE revoked_at IS NULL DO NOTHING"),
      revoke_(connection,
              "UPDATE api_tokens SET revoked_at = ? WHERE name = ? AND revoked_at IS NULL"),
      note_use_(connection, "UPDATE api_tokens SET last_used_at = ? WHERE sha256 = ?") {}

std::vector<core::Token> TokenTable::read() {
  const Use use(select_);
  std::vector<core::Token> out;
  while (select_.executeStep()) {
    core::Token token;
    token.name = select_.getColumn(0).getString();
    token.role = core::parse_role(select_.getColumn(1).getString()).value_or(core::Role::viewer);
    token.ports = to_ports(select_.getColumn(2));
    token.sha256 = select_.getColumn(3).getString();
    token.created_at = to_time(select_.getColumn(4)).value_or(base::WallTime{});
    token.expires_at = to_time(select_.getColumn(5));
    token.last_used_at = to_time(select_.getColumn(6));
    token.revoked_at = to_time(select_.getColumn(7));
    out.push_back(std::move(token));
  }
  return out;
}

base::Result<void> TokenTable::add(const core::Token& token) {
  const Use use(add_);
  add_.bind(1, token.name);
  add_.bind(2, std::string(core::to_string(token.role)));
  bind_or_null(add_, 3, token.ports ? token.ports->to_string() : std::string());
  add_.bind(4, token.sha256);
  add_.bind(5, base::to_iso8601(token.created_at));
  bind_or_null(add_, 6, to_text(token.expires_at));
  if (add_.exec() > 0) return {};
  return base::Error{base::Errc::conflict, "there is a token " + base::quoted(token.name) +
                                               " already; revoke it first, or take another name"};
}

base::Result<void> TokenTable::revoke(const std::string& name, base::WallTime at) {
  const Use use(revoke_);
  revoke_.bind(1, base::to_iso8601(at));
  revoke_.bind(2, name);
  if (revoke_.exec() > 0) return {};
  return base::Error{base::Errc::not_found,
                     "there is no token " + base::quoted(name) + " that could be revoked"};
}

void TokenTable::note_use(const std::string& sha256, base::WallTime at) {
  const Use use(note_use_);
  note_use_.bind(1, base::to_iso8601(at));
  note_use_.bind(2, sha256);
  note_use_.exec();
}

}  // namespace sc::store
