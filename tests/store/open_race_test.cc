// The database is replaced at the moment at which a connection opens it.
#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <utility>

#include "base/fd.h"
#include "store/fixture.h"
#include "support/catch.h"

namespace sc::test {
namespace {

using store::Database;

enum class Moment : unsigned char { before, after };

// Puts the copy in the place of the database when a connection opens that for writing, as the
// connection of this number does. One at a time.
class Replacement {
 public:
  Replacement(std::string file, std::string copy, int number, Moment moment) {
    real() = sqlite3_vfs_find(nullptr);
    vfs() = *real();
    vfs().zName = "replacing";
    vfs().xOpen = &Replacement::open;
    state() = {std::move(file), std::move(copy), number, moment};
    sqlite3_vfs_register(&vfs(), 1);
  }
  Replacement(const Replacement&) = delete;
  Replacement& operator=(const Replacement&) = delete;
  ~Replacement() {
    sqlite3_vfs_unregister(&vfs());
    sqlite3_vfs_register(real(), 1);
  }
  bool is_done() const { return state().number <= 0; }

 private:
  struct State {
    std::string file;
    std::string copy;
    int number = 0;  // of connections up to the one that is meant
    Moment moment = Moment::before;
  };
  // Connections keep the VFS for as long as they live.
  static sqlite3_vfs& vfs() {
    static sqlite3_vfs made{};
    return made;
  }
  static sqlite3_vfs*& real() {
    static sqlite3_vfs* found = nullptr;
    return found;
  }
  static State& state() {
    static State made;
    return made;
  }
  static int open(sqlite3_vfs* /*self*/, const char* name, sqlite3_file* into, int flags,
                  int* got) {
    const bool is_counted =
        (flags & SQLITE_OPEN_MAIN_DB) != 0 && (flags & SQLITE_OPEN_READWRITE) != 0;
    const bool is_meant = is_counted && --state().number == 0;
    const auto replace = [&](Moment now) {
      if (is_meant && now == state().moment) std::filesystem::rename(state().copy, state().file);
    };
    replace(Moment::before);
    const int code = real()->xOpen(real(), name, into, flags, got);
    replace(Moment::after);
    return code;
  }
};

// A database with one stream that was closed cleanly, and another one without streams.
struct TwoDatabases {
  TwoDatabases() {
    auto database = Database::open(file);
    REQUIRE(database);
    REQUIRE(commit(**database, created(9000)));
    REQUIRE(Database::open(copy));
  }

  const TempFolder folder;
  const TempFolder elsewhere;
  const std::string file = folder / "s.db";
  const std::string copy = elsewhere / "copy.db";
};

TEST_CASE_METHOD(TwoDatabases,
                 "a file that replaces the database while that is opened stays whole") {
  {
    const Replacement replacement(file, copy, 1, Moment::after);
    const auto opened = Database::open(file);
    REQUIRE(replacement.is_done());
    REQUIRE_FALSE(opened);
    CHECK(opened.error().code == base::Errc::unavailable);
    CHECK_THAT(opened.error().message, Catch::Contains("was replaced while it was opened"));
  }
  auto again = Database::open(file);
  REQUIRE(again);
  CHECK(query(file, "SELECT port FROM streams").empty());
  REQUIRE(commit(**again, created(9001)));
  CHECK(query(file, "PRAGMA integrity_check") == std::vector<std::string>{"ok"});
}

// A connection holds this byte of the -shm for as long as it uses it
// (sqlite.org/src/file/src/os_unix.c, UNIX_SHM_DMS).
constexpr off_t kInUse = 128;

TEST_CASE_METHOD(TwoDatabases,
                 "the connection for checkpoints takes no lock away from the first one when the "
                 "database is replaced between both") {
  const Replacement replacement(file, copy, 2, Moment::before);
  auto database = Database::open(file);
  REQUIRE(database);
  REQUIRE(replacement.is_done());
  const std::string lock = in_child([&] {
    const base::Fd shared(::open((file + "-shm").c_str(), O_RDWR | O_CLOEXEC));
    struct flock found {};
    found.l_type = F_WRLCK;
    found.l_whence = SEEK_SET;
    found.l_start = kInUse;
    found.l_len = 1;
    if (!shared || ::fcntl(shared.get(), F_GETLK, &found) != 0) return "unknown";
    return found.l_type == F_UNLCK ? "free" : "held";
  });
  CHECK(lock == "held");
  CHECK((*database)->look_at_files());
}

}  // namespace
}  // namespace sc::test
