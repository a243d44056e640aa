#include "store/inspection.h"

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Statement.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string_view>
#include <system_error>

#include "base/log.h"
#include "store/integrity_check.h"
#include "store/sqlite_error.h"
#include "store/sqlite_uri.h"

namespace sc::store {
namespace {

// The first bytes of every database (sqlite.org/fileformat.html section 1.3).
constexpr std::string_view kMagic{"SQLite format 3\0", 16};
constexpr std::size_t kHeaderSize = 100;
constexpr std::uintmax_t kOnePage = 4096;  // no table fits into a file of one page
constexpr int kBusyMillis = 5000;          // somebody's sqlite3 may hold a lock

base::Error refused(const std::string& file, const std::string& why) {
  return {base::Errc::invalid, "the database " + file + " " + why};
}

// Is it a database, and does its header name us? The header is behind what is in a -wal.
base::Result<bool> names_us(const std::string& file) {
  std::array<char, kHeaderSize> head{};
  std::ifstream in(file, std::ios::binary);
  if (!in)
    return base::Error{base::Errc::unavailable,
                       base::describe_errno("the database " + file + " cannot be read", errno)};
  in.read(head.data(), head.size());
  if (std::string_view(head.data(), static_cast<std::size_t>(in.gcount())).substr(0, 16) != kMagic)
    return refused(file, "is not a SQLite database");
  std::uint32_t application = 0;
  for (const char c : std::string_view(head.data() + 68, 4))  // big-endian
    application = (application << 8U) | static_cast<unsigned char>(c);
  return application == static_cast<std::uint32_t>(kApplicationId);
}

std::uintmax_t size_of(const std::string& file) {  // 0 for what does not exist
  std::error_code missing;
  const auto size = std::filesystem::file_size(file, missing);
  return missing ? 0 : size;
}

std::int64_t ask_number(SQLite::Database& connection, const std::string& sql) {
  return connection.execAndGet(sql).getInt64();
}

}  // namespace

base::Result<std::size_t> inspect_open(SQLite::Database& connection, const std::string& file,
                                       std::span<const Migration> known) {
  const std::int64_t application = ask_number(connection, "PRAGMA application_id");
  if (application != kApplicationId) {
    if (application == 0 && ask_number(connection, "SELECT count(*) FROM sqlite_master") == 0)
      return std::size_t{0};
    return refused(file, "belongs to another program (its application_id is " +
                             std::to_string(application) + ")");
  }
  const auto applied = read_applied(connection);
  if (auto fits = check_applied(applied, ask_number(connection, "PRAGMA user_version"), known);
      !fits)
    return refused(file, fits.error().message);
  return applied.size();
}

namespace {

using Before = std::function<base::Result<void>(const std::string& uri, int flags)>;

// `before` is called with what SQLite opens, for a file that is not empty.
base::Result<std::size_t> inspect_after(const std::string& file, std::span<const Migration> known,
                                        const Before& before) {
  const std::uintmax_t size = size_of(file);
  const bool has_log = size_of(file + "-wal") > 0;
  if (size == 0) {
    // SQLite would take the log for a left-over and delete it.
    if (has_log) return refused(file, "is missing or empty, but " + file + "-wal is not");
    return std::size_t{0};
  }
  const auto ours = names_us(file);
  if (!ours) return ours.error();
  const bool unfinished = size_of(file + "-journal") > 0;
  if (unfinished && !*ours && size > kOnePage)
    return refused(file, "belongs to another program, which left a transaction unfinished");
  // Read-only, SQLite cannot roll back, and makes -wal and -shm beside a database in WAL mode. Not
  // so with `immutable`, which does not see what is in the log.
  const std::string options = unfinished         ? "?mode=rw"
                              : *ours || has_log ? "?mode=ro"
                                                 : "?mode=ro&immutable=1";
  const std::string uri = to_uri(file) + options;
  const int flags =
      (unfinished ? SQLite::OPEN_READWRITE : SQLite::OPEN_READONLY) | SQLite::OPEN_URI;
  if (auto done = before(uri, flags); !done) return done.error();
  std::unique_ptr<SQLite::Database> connection;  // outlives its exception
  try {
    connection = std::make_unique<SQLite::Database>(uri, flags, kBusyMillis);
    return inspect_open(*connection, file, known);
  } catch (const SQLite::Exception& failure) {
    return to_error("the database " + file + " cannot be used", failure,
                    connection ? connection->getHandle() : nullptr);
  }
}

}  // namespace

base::Result<std::size_t> inspect(const std::string& file, std::span<const Migration> known) {
  return inspect_after(file, known, [&](const std::string& uri, int flags) {
    return IntegrityCheck(file, uri, flags).wait();
  });
}

base::Result<std::size_t> inspect_schema(const std::string& file,
                                         std::span<const Migration> known) {
  return inspect_after(file, known,
                       [](const std::string&, int) -> base::Result<void> { return {}; });
}

base::Result<std::size_t> inspect_for_start(const std::string& file,
                                            std::span<const Migration> known,
                                            std::shared_ptr<IntegrityCheck>& check,
                                            std::uintmax_t small) {
  return inspect_after(file, known, [&](const std::string& uri, int flags) -> base::Result<void> {
    check = std::make_shared<IntegrityCheck>(file, uri, flags);
    const bool is_small = size_of(file) + size_of(file + "-wal") <= small;
    if (is_small || check->wait_for(kStartCheck)) return check->wait();
    base::log::info("database is large, the check goes on in the background", {{"file", file}});
    return {};
  });
}

}  // namespace sc::store
