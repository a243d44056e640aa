#include "store/stored_streams.h"

#include <SQLiteCpp/Database.h>

#include <filesystem>

#include "store/folder.h"
#include "store/inspection.h"
#include "store/migrations.h"
#include "store/sqlite_error.h"
#include "store/stream_table.h"

namespace sc::store {
namespace {

constexpr int kBusyMillis = 5000;  // a sqlite3 of the operator's may hold a lock

}  // namespace

base::Result<core::StoredStreams> read_stored_streams(const std::string& file) {
  if (auto present = require_database(file); !present) return present.error();
  const auto claimed = claim_folder(std::filesystem::path(file).parent_path().string());
  if (!claimed) return claimed.error();
  const auto applied = inspect_schema(file, embedded_migrations());
  if (!applied) return applied.error();
  if (*applied != embedded_migrations().size())
    return base::Error{base::Errc::conflict,
                       "the database " + file +
                           " was made by an earlier stream-conductor: the service brings it up to "
                           "date when it starts, as an import does that is no dry run"};
  try {
    SQLite::Database connection(file, SQLite::OPEN_READONLY, kBusyMillis);
    return StreamTable(connection).read();
  } catch (const SQLite::Exception& failure) {
    return to_error("the streams cannot be read", failure);
  }
}

}  // namespace sc::store
