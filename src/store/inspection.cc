#include "store/inspection.h"

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Statement.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <string_view>
#include <system_error>

#include "store/sqlite_error.h"

namespace sc::store {
namespace {

// The first bytes of every database (sqlite.org/fileformat.html section 1.3).
constexpr std::string_view kMagic{"SQLite format 3\0", 16};

base::Error refused(const std::string& file, const std::string& why) {
  return {base::Errc::invalid, "the database " + file + " " + why};
}

base::Result<void> check_magic(const std::string& file) {
  std::array<char, kMagic.size()> head{};
  std::ifstream in(file, std::ios::binary);
  if (!in) return refused(file, "cannot be read");
  in.read(head.data(), head.size());
  if (std::string_view(head.data(), static_cast<std::size_t>(in.gcount())) != kMagic)
    return refused(file, "is not a SQLite database");
  return {};
}

std::int64_t ask_number(SQLite::Database& connection, const std::string& sql) {
  return connection.execAndGet(sql).getInt64();
}

base::Result<std::size_t> inspect_open(SQLite::Database& connection, const std::string& file,
                                       std::span<const Migration> known) {
  const std::string verdict = connection.execAndGet("PRAGMA quick_check(1)").getString();
  if (verdict != "ok") return refused(file, "is corrupt: " + verdict);
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

}  // namespace

base::Result<std::size_t> inspect(const std::string& file, std::span<const Migration> known) {
  std::error_code missing;
  const auto size = std::filesystem::file_size(file, missing);
  if (missing == std::errc::no_such_file_or_directory) return std::size_t{0};
  if (missing) return refused(file, "cannot be looked at: " + missing.message());
  if (size == 0) return std::size_t{0};
  if (auto magic = check_magic(file); !magic) return magic.error();
  try {
    SQLite::Database connection(file, SQLite::OPEN_READONLY);
    return inspect_open(connection, file, known);
  } catch (const SQLite::Exception& failure) {
    return to_error("the database " + file + " cannot be used", failure);
  }
}

}  // namespace sc::store
