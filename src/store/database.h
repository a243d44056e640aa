#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "core/stream_store.h"
#include "core/token_store.h"
#include "store/migrations.h"

namespace SQLite {
class Database;
}

namespace sc::store {

class StreamTable;
class HistoryPruning;
class IntegrityCheck;
class TokenTable;

// Opens a database that is there, with what each connection of ours has: WAL, synchronous=FULL,
// foreign keys. Claims nothing. Throws SQLite::Exception.
base::Result<std::unique_ptr<SQLite::Database>> connect(const std::string& file);

// The database file: opened, checked, migrated, and held for this process. WAL with
// synchronous=FULL, so what was committed survives a loss of power and readers are never kept
// waiting. One thread at a time.
class Database {
 public:
  using Writes = std::vector<core::StoreWrite>;

  // Refuses, with the file left as it is, what is corrupt, of another program, newer, migrated
  // differently, not writable, or in use by another stream-conductor.
  static base::Result<std::unique_ptr<Database>> open(
      const std::string& file, std::span<const Migration> known = embedded_migrations());
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  // Moves what is in the write-ahead log into the file, if no reader is in the way.
  ~Database();

  // One durable transaction for all of them; each succeeds or fails alone, as a savepoint, unless
  // the transaction as a whole fails (disk full, I/O error): then all do. One result for each, in
  // order.
  std::vector<base::Result<void>> commit(std::span<const Writes> batch);
  base::Result<core::StoredStreams> load();
  base::Result<core::HistoryPage> history(const core::HistoryQuery& query);
  base::Result<std::vector<core::Stream>> as_of(base::WallTime time);

  base::Result<core::PruneStep> prune_history(base::WallTime before, std::uint16_t from_port);

  // See core::TokenStore.
  base::Result<std::optional<core::TokenSnapshot>> load_tokens(std::optional<std::int64_t> known);
  base::Result<void> note_token_use(const std::string& sha256, base::WallTime at);

  // The check that the start did not wait for; null: the database was closed cleanly.
  const std::shared_ptr<IntegrityCheck>& check() const { return check_; }

  // What the page cache does not need now.
  void release_memory();

 private:
  Database(std::string file, base::Fd lock, std::unique_ptr<SQLite::Database> connection,
           std::shared_ptr<IntegrityCheck> check);

  base::Result<void> write_one(const Writes& writes);
  bool in_transaction() const;
  StreamTable& table();
  TokenTable& tokens();  // throws

  const std::string file_;
  base::Fd lock_;
  std::shared_ptr<IntegrityCheck> check_;
  std::unique_ptr<SQLite::Database> connection_;
  std::unique_ptr<StreamTable> table_;
  std::unique_ptr<TokenTable> tokens_;  // from its first use on
  std::unique_ptr<HistoryPruning> pruning_;
};

}  // namespace sc::store
