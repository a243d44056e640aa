#include "store/image.h"

#include <SQLiteCpp/Database.h>
#include <sqlite3.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <system_error>
#include <utility>

#include "store/inspection.h"
#include "store/integrity_check.h"
#include "store/sqlite_error.h"

namespace sc::store {
namespace {

// https://sqlite.org/fileformat.html sections 1.3.3 and 4.1
constexpr std::size_t kHeaderSize = 100;
constexpr std::size_t kLogHeader = 32;
constexpr std::size_t kFrameHeader = 24;
constexpr std::uint32_t kLogMagic = 0x377f0682;  // the lowest bit: checksums are big-endian
constexpr std::size_t kWriteVersion = 18;        // 2: WAL; 1: a rollback journal, in memory as well
constexpr std::size_t kReadVersion = 19;

std::uint32_t big_endian(std::string_view bytes, std::size_t at) {
  std::uint32_t number = 0;
  for (std::size_t i = 0; i < 4; ++i)
    number = (number << 8U) | static_cast<unsigned char>(bytes[at + i]);
  return number;
}

std::uint32_t little_endian(std::string_view bytes, std::size_t at) {
  std::uint32_t number = 0;
  for (std::size_t i = 4; i-- > 0;)
    number = (number << 8U) | static_cast<unsigned char>(bytes[at + i]);
  return number;
}

// The running checksum of a log, over a multiple of 8 bytes at a time.
class Checksum {
 public:
  explicit Checksum(bool is_big_endian) : is_big_endian_(is_big_endian) {}
  void add(std::string_view bytes) {
    for (std::size_t i = 0; i + 8 <= bytes.size(); i += 8) {
      first_ += word(bytes, i) + second_;
      second_ += word(bytes, i + 4) + first_;
    }
  }
  bool is(std::string_view bytes, std::size_t at) const {
    return big_endian(bytes, at) == first_ && big_endian(bytes, at + 4) == second_;
  }

 private:
  std::uint32_t word(std::string_view bytes, std::size_t at) const {
    return is_big_endian_ ? big_endian(bytes, at) : little_endian(bytes, at);
  }
  const bool is_big_endian_;
  std::uint32_t first_ = 0;
  std::uint32_t second_ = 0;
};

base::Error refused(const std::string& file, const std::string& why,
                    base::Errc code = base::Errc::unavailable) {
  return {code, "the database " + file + " " + why};
}

std::uintmax_t size_of(const std::string& file) {  // 0 for what does not exist
  std::error_code missing;
  const auto size = std::filesystem::file_size(file, missing);
  return missing ? 0 : size;
}

std::uintmax_t most_memory() {
  return static_cast<std::uintmax_t>(::sysconf(_SC_PHYS_PAGES)) *
         static_cast<std::uintmax_t>(::sysconf(_SC_PAGESIZE)) / 4;
}

base::Result<std::string> read_all(const std::string& file) {
  if (size_of(file) == 0) return std::string();
  std::ifstream in(file, std::ios::binary);
  std::ostringstream bytes;
  bytes << in.rdbuf();
  if (!in || !bytes) return refused(file, "cannot be read");
  return std::move(bytes).str();
}

// A database in memory that starts with these pages.
std::unique_ptr<SQLite::Database> in_memory(const std::string& pages) {
  auto connection =
      std::make_unique<SQLite::Database>(":memory:", SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
  auto* copy = static_cast<unsigned char*>(sqlite3_malloc64(pages.size()));
  if (copy == nullptr) throw SQLite::Exception("memory is exhausted", SQLITE_NOMEM);
  std::copy(pages.begin(), pages.end(), copy);
  const auto size = static_cast<sqlite3_int64>(pages.size());
  // SQLite frees the copy, also if it fails.
  const int done =
      sqlite3_deserialize(connection->getHandle(), "main", copy, size, size,
                          SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_RESIZEABLE);
  if (done != SQLITE_OK) throw SQLite::Exception(connection->getHandle(), done);
  return connection;
}

base::Result<std::string> read_pages(const std::string& file) {
  if (size_of(file + "-journal") > 0)
    return refused(file, "has an unfinished transaction, which a disk that can be written undoes");
  if (size_of(file) + size_of(file + "-wal") > most_memory())
    return refused(file, "is larger than a quarter of this host's memory");
  auto pages = read_all(file);
  if (!pages) return pages;
  auto log = read_all(file + "-wal");
  if (!log) return log;
  apply_log(*pages, *log);
  if (pages->size() >= kHeaderSize) {
    (*pages)[kWriteVersion] = 1;
    (*pages)[kReadVersion] = 1;
  }
  return pages;
}

// Can SQLite read the file where it is, with the present schema?
base::Result<bool> is_readable_in_place(const std::string& file, std::span<const Migration> known) {
  std::shared_ptr<IntegrityCheck> check;  // of a large file only its beginning
  auto applied = inspect_for_start(file, known, check);
  if (!applied) return applied.error();
  if (*applied != known.size()) return false;
  SQLite::Database connection(file, SQLite::OPEN_READONLY);
  connection.execAndGet("SELECT count(*) FROM sqlite_master");
  return true;
}

}  // namespace

void apply_log(std::string& database, std::string_view log) {
  if (log.size() < kLogHeader) return;
  const std::uint32_t magic = big_endian(log, 0);
  const std::size_t page_size = big_endian(log, 8);
  Checksum sum((magic & 1U) != 0);
  sum.add(log.substr(0, 24));
  if ((magic & ~1U) != kLogMagic || !sum.is(log, 24) || page_size < 512 || page_size > 65536)
    return;
  std::map<std::uint32_t, std::string_view> changed;  // by page number, as of the last commit
  std::map<std::uint32_t, std::string_view> uncommitted;
  std::uint32_t pages = 0;
  for (std::size_t at = kLogHeader; at + kFrameHeader + page_size <= log.size();
       at += kFrameHeader + page_size) {
    const std::string_view frame = log.substr(at, kFrameHeader + page_size);
    sum.add(frame.substr(0, 8));
    sum.add(frame.substr(kFrameHeader));
    if (frame.substr(8, 8) != log.substr(16, 8) || !sum.is(frame, 16)) break;
    uncommitted[big_endian(frame, 0)] = frame.substr(kFrameHeader);
    const std::uint32_t size_after = big_endian(frame, 4);  // 0: not a commit
    if (size_after == 0) continue;
    pages = size_after;
    for (const auto& [number, bytes] : uncommitted) changed[number] = bytes;
    uncommitted.clear();
  }
  if (pages == 0) return;
  database.resize(pages * page_size);
  for (const auto& [number, bytes] : changed)
    if (number >= 1 && number <= pages)
      database.replace((number - 1) * page_size, page_size, bytes);
}

base::Result<std::unique_ptr<SQLite::Database>> open_image(const std::string& file,
                                                           std::span<const Migration> known) try {
  try {
    // Kept sessions would end if a folder whose disk is not mounted were taken for one that has no
    // streams yet.
    if (size_of(file) == 0 && size_of(file + "-wal") == 0)
      return refused(file, "does not exist or is empty, and cannot be made");
    auto readable = is_readable_in_place(file, known);
    if (readable && *readable) return std::unique_ptr<SQLite::Database>();
    if (!readable && readable.error().code != base::Errc::unavailable) return readable.error();
  } catch (const SQLite::Exception&) {  // SQLite cannot create -wal or -shm
  }
  auto pages = read_pages(file);
  if (!pages) return pages.error();
  auto connection = in_memory(*pages);
  pages->clear();
  pages->shrink_to_fit();
  const std::string verdict = connection->execAndGet("PRAGMA quick_check(1)").getString();
  if (verdict != "ok") return refused(file, "is corrupt: " + verdict, base::Errc::invalid);
  auto applied = inspect_open(*connection, file, known);
  if (!applied) return applied.error();
  if (auto migrated = apply_migrations(*connection, *applied, known); !migrated)
    return refused(file, migrated.error().message, migrated.error().code);
  connection->exec("PRAGMA query_only = ON");
  return connection;
} catch (const SQLite::Exception& failure) {
  return to_error("the database " + file + " cannot be read", failure);
}

}  // namespace sc::store
