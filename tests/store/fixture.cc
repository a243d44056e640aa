#include "store/fixture.h"

#include <SQLiteCpp/Column.h>
#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Exception.h>
#include <SQLiteCpp/Statement.h>
#include <grp.h>
#include <sqlite3.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <system_error>

#include "support/catch.h"

namespace sc::test {
namespace {

sqlite3* last_opened = nullptr;
sqlite3* opened_before_last = nullptr;

int note_connection(sqlite3* opened, char** /*error*/, const sqlite3_api_routines* /*api*/) {
  opened_before_last = last_opened;
  last_opened = opened;
  return SQLITE_OK;
}

// As sqlite3_auto_extension(3) wants it: it is called with other arguments than its type says.
using AutoExtension = void (*)();

bool become(uid_t uid, gid_t gid) {
  if (gid != 0 && (::setgroups(0, nullptr) != 0 || ::setgid(gid) != 0)) return false;
  return uid == 0 || ::setuid(uid) == 0;
}

std::string join(const std::vector<std::string>& rows) {
  std::string out;
  for (const std::string& row : rows) out += (out.empty() ? "" : "\n") + row;
  return out;
}

void serve_reader(const std::string& file, int socket) {
  std::array<char, 4096> question{};
  while (true) {
    const ssize_t size = ::recv(socket, question.data(), question.size(), 0);
    if (size <= 0) return;
    std::string answer;
    try {
      answer = join(query(file, {question.data(), static_cast<std::size_t>(size)}));
    } catch (const std::exception& failure) {
      answer = std::string("error: ") + failure.what();
    }
    answer += '\n';  // a record of 0 bytes would read as the end
    if (::send(socket, answer.data(), answer.size(), 0) < 0) return;
  }
}

}  // namespace

TempFolder::TempFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "sc-store-XXXXXX").string();
  REQUIRE(::mkdtemp(name.data()) != nullptr);
  ::chmod(name.c_str(), 0711);
  path_ = name;
}

TempFolder::~TempFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::function<void(base::Callback<void()>)> ControlThread::post() {
  return [this](base::Callback<void()> function) {
    {
      const std::lock_guard lock(mutex_);
      queue_.push_back(std::move(function));
    }
    more_.notify_one();
  };
}

void ControlThread::run(int count) {
  for (; count > 0; --count) {
    base::Callback<void()> next;
    {
      std::unique_lock lock(mutex_);
      more_.wait(lock, [this] { return !queue_.empty(); });
      next = std::move(queue_.front());
      queue_.erase(queue_.begin());
    }
    next();
  }
}

void ControlThread::run_until(const std::function<bool()>& condition) {
  while (!condition()) run();
}

std::string read_bytes(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write_bytes(const std::string& file, std::string_view bytes) {
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

unsigned mode_of(const std::string& file) {
  struct stat found {};
  REQUIRE(::stat(file.c_str(), &found) == 0);
  return found.st_mode & 07777U;
}

std::ptrdiff_t count_open(const std::string& file) {
  const auto descriptors = std::filesystem::directory_iterator("/proc/self/fd");
  return std::count_if(begin(descriptors), end(descriptors), [&](const auto& each) {
    std::error_code gone;
    return std::filesystem::read_symlink(each, gone) == file;
  });
}

std::vector<std::string> query(const std::string& file, const std::string& sql) {
  std::vector<std::string> out;
  SQLite::Database connection(file, SQLite::OPEN_READONLY, 5000);
  SQLite::Statement rows(connection, sql);
  while (rows.executeStep()) {
    std::string& line = out.emplace_back();
    for (int i = 0; i < rows.getColumnCount(); ++i) {
      if (i > 0) line += '|';
      line += rows.getColumn(i).getString();
    }
  }
  return out;
}

void execute(const std::string& file, const std::string& sql) {
  SQLite::Database connection(file, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE, 5000);
  connection.exec(sql);
}

std::string in_child(const std::function<std::string()>& function, uid_t uid, gid_t gid) {
  std::array<int, 2> ends{};
  REQUIRE(::pipe(ends.data()) == 0);
  const base::Fd from(ends[0]);
  base::Fd to(ends[1]);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const std::string answer = become(uid, gid) ? function() : "could not become the other user";
    const bool written = ::write(to.get(), answer.data(), answer.size()) >= 0;
    ::_exit(written ? 0 : 1);
  }
  to.reset();
  std::string answer;
  std::array<char, 4096> part{};
  for (ssize_t size = 0; (size = ::read(from.get(), part.data(), part.size())) > 0;)
    answer.append(part.data(), static_cast<std::size_t>(size));
  ::waitpid(child, nullptr, 0);
  return answer;
}

ReaderProcess::ReaderProcess(std::string file, uid_t uid, gid_t gid) {
  std::array<int, 2> ends{};
  REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) == 0);
  socket_.reset(ends[0]);
  const base::Fd theirs(ends[1]);
  pid_ = ::fork();
  REQUIRE(pid_ >= 0);
  if (pid_ != 0) return;
  socket_.reset();
  if (become(uid, gid)) serve_reader(file, theirs.get());
  ::_exit(0);
}

ReaderProcess::~ReaderProcess() {
  socket_.reset();
  ::waitpid(pid_, nullptr, 0);
}

std::string ReaderProcess::ask(const std::string& sql) {
  std::array<char, 65536> answer{};
  if (::send(socket_.get(), sql.data(), sql.size(), 0) < 0) return "error: the reader is gone";
  const ssize_t size = ::recv(socket_.get(), answer.data(), answer.size(), 0);
  if (size <= 0) return "error: the reader is gone";
  return {answer.data(), static_cast<std::size_t>(size - 1)};
}

ConnectionSpy::ConnectionSpy() {
  last_opened = nullptr;
  opened_before_last = nullptr;
  sqlite3_auto_extension(reinterpret_cast<AutoExtension>(&note_connection));
}

ConnectionSpy::~ConnectionSpy() {
  sqlite3_cancel_auto_extension(reinterpret_cast<AutoExtension>(&note_connection));
}

sqlite3* ConnectionSpy::writer() const { return opened_before_last; }

std::string ask(sqlite3* connection, const std::string& sql) {
  std::string answer;
  sqlite3_stmt* row = nullptr;
  if (sqlite3_prepare_v2(connection, sql.c_str(), -1, &row, nullptr) == SQLITE_OK &&
      sqlite3_step(row) == SQLITE_ROW)
    answer = reinterpret_cast<const char*>(sqlite3_column_text(row, 0));
  sqlite3_finalize(row);
  return answer;
}

base::Result<void> commit(store::Database& database, std::vector<core::StoreWrite> writes) {
  const std::vector<store::Database::Writes> batch{std::move(writes)};
  return database.commit(batch).front();
}

base::WallTime minute(int minutes) {
  using std::chrono::November;
  return std::chrono::sys_days{std::chrono::year{2026} / November / 1} + std::chrono::hours{14} +
         std::chrono::minutes{minutes};
}

core::Stream stream(std::uint16_t port, const std::string& host, std::uint16_t backend_port) {
  core::Stream out;
  out.spec = {port, {host, backend_port}};
  out.created_at = out.updated_at = minute(0);
  out.created_by = "10.0.0.1";
  return out;
}

core::AppendEvent event(int at, core::EventAction action, std::uint16_t port, std::string before,
                        std::string after, std::string actor, std::string detail) {
  core::Event event;
  event.at = minute(at);
  event.action = action;
  event.port = port;
  event.actor = {std::move(actor), {}};
  event.backend_before = std::move(before);
  event.backend_after = std::move(after);
  event.detail = std::move(detail);
  return {std::move(event)};
}

std::vector<core::StoreWrite> created(std::uint16_t port) {
  return {core::AddStream{stream(port, "x")},
          event(0, core::EventAction::created, port, "", "x:1")};
}

}  // namespace sc::test
