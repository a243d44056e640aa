#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.h"
#include "base/result.h"

namespace SQLite {
class Database;
}

// The schema's steps. Functions on values, and one that writes; the thread that has the connection.
namespace sc::store {

struct Migration {
  std::string_view name;  // its file, `0001_streams.sql`; their order is the order of names
  std::string_view sql;
};

// migrations/*.sql, sorted by name.
std::span<const Migration> embedded_migrations();

// A row of `schema_migrations`.
struct AppliedMigration {
  std::string name;
  std::string sha256;
};

// PRAGMA application_id of our databases: "StCo". file(1) and we know them by it.
inline constexpr std::int32_t kApplicationId = 0x5374436f;

using base::sha256_hex;

// Is what was applied the beginning of what we know, unchanged? Else what is wrong, as a clause
// that fits after "the database FILE ". `user_version` is the number of migrations that its last
// writer knew.
base::Result<void> check_applied(std::span<const AppliedMigration> applied,
                                 std::int64_t user_version, std::span<const Migration> known);

std::vector<AppliedMigration> read_applied(SQLite::Database& connection);  // throws

// Applies those of `known` after the first `applied`, one transaction each, recorded in it.
base::Result<void> apply_migrations(SQLite::Database& connection, std::size_t applied,
                                    std::span<const Migration> known);

}  // namespace sc::store
