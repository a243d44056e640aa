#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "core/stream_store.h"
#include "core/token_store.h"
#include "store/file_watch.h"
#include "store/folder.h"
#include "store/log_keeper.h"
#include "store/migrations.h"
#include "store/queries.h"

namespace SQLite {
class Database;
}

namespace sc::store {

class HistoryPruning;
class IntegrityCheck;

// Opens a database that is there, with what each connection of ours has: WAL, synchronous=FULL,
// foreign keys. Claims nothing.
base::Result<std::unique_ptr<SQLite::Database>> connect(const std::string& file);

// The database file, opened for writing: checked, migrated, and claimed for this process. WAL with
// synchronous=FULL, so a commit survives a loss of power and never makes readers wait. One thread
// at a time.
class Database {
 public:
  using Writes = std::vector<core::StoreWrite>;

  // Claims the folder and opens the file. Refuses, with the file left as it is, what is corrupt, of
  // another program, newer, migrated differently, not writable, or in use by another
  // stream-conductor.
  static base::Result<std::unique_ptr<Database>> open(
      const std::string& file, std::span<const Migration> known = embedded_migrations());
  // For a caller that has claimed the folder and holds the claim for longer than this lives.
  static base::Result<std::unique_ptr<Database>> open_claimed(
      const std::string& file, std::span<const Migration> known = embedded_migrations());
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  // Moves the content of the write-ahead log into the file, if no reader is in the way. Writes to
  // no file that has taken the place of an opened one.
  ~Database();

  // What has happened to the files since they were opened: `replaced`, with a sentence for
  // operators. nullopt: nothing. Nothing is committed while there is something.
  std::optional<base::Error> look_at_files();
  // For a caller that will open the file that is there now. unavailable: what was committed would
  // be lost, or would be applied to that file, if this were closed now. The error says what is in
  // the way.
  base::Result<void> prepare_to_close();
  // After look_at_files(): has all been done that keeps the files whole?
  bool is_settled() const { return watch_.is_settled(); }
  // Moves what was committed from the log to the file, see LogKeeper::step(). Returns false while
  // the log is too long, because a reader does not let it begin again. `stats` outlive this.
  bool keep_log_short(LogStats& stats);
  // Has enough been committed since the last call that the next one should not wait for its time?
  bool has_much_log() const { return log_keeper_ && log_keeper_->has_much(); }

  // While another program holds a lock, the function is called every few milliseconds until it
  // returns true: then the statement fails. Without it, statements wait for 5 s.
  void set_gives_up(std::function<bool()> gives_up) { gives_up_ = std::move(gives_up); }

  // Commits one durable transaction for all elements. Each element succeeds or fails alone, as a
  // savepoint. If the transaction as a whole fails (disk full, I/O error), all elements fail. If
  // the disk refuses one element, those after it fail too. Returns one result for each, in order.
  // `takes`, if given, is called for each element once the database can be written: an element for
  // which it returns false is left out.
  std::vector<base::Result<void>> commit(std::span<const Writes> batch,
                                         const std::function<bool(std::size_t)>& takes = {});
  // Did the last commit() fail because another program holds a lock? It wrote nothing then.
  bool was_locked() const { return was_locked_; }
  // A durable transaction that changes nothing: can the database be written?
  base::Result<void> probe();

  // Each on the writer's own connection, so they see what commit() has written.
  base::Result<core::StoredStreams> load() { return queries_->load(); }
  base::Result<core::HistoryPage> history(const core::HistoryQuery& query) {
    return queries_->history(query);
  }
  base::Result<std::vector<core::Stream>> as_of(base::WallTime time) {
    return queries_->as_of(time);
  }
  base::Result<std::optional<core::TokenSnapshot>> load_tokens(std::optional<std::int64_t> known) {
    return queries_->load_tokens(known);
  }
  base::Result<core::PruneStep> prune_history(base::WallTime before, std::uint16_t from_port);
  base::Result<void> note_token_use(const std::string& sha256, base::WallTime at);

  // The check that the start did not wait for; null: the database was closed cleanly. Stopped when
  // the database is closed.
  const std::shared_ptr<IntegrityCheck>& check() const { return check_; }

  // What the page cache does not need now.
  void release_memory();

  // For background work on the same connection, on the same thread.
  SQLite::Database& connection() { return *connection_; }

 private:
  Database(std::string file, std::unique_ptr<SQLite::Database> connection, FileWatch watch,
           std::shared_ptr<IntegrityCheck> check);

  static int on_busy(void* self, int calls);
  base::Result<void> write_one(const Writes& writes);
  bool in_transaction() const;

  const std::string file_;
  const std::string files_;  // see name_files()
  FolderClaim claim_;        // empty if the caller of open_claimed() holds it
  std::function<bool()> gives_up_;
  bool was_locked_ = false;
  std::shared_ptr<IntegrityCheck> check_;
  std::unique_ptr<SQLite::Database> connection_;
  FileWatch watch_;
  std::unique_ptr<LogKeeper> log_keeper_;  // null: the files are not the opened ones
  std::unique_ptr<Queries> queries_;
  std::unique_ptr<HistoryPruning> pruning_;  // from its first use on
};

}  // namespace sc::store
