#include "systemd/journal.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

#include "base/fd.h"
#include "support/catch.h"
#include "systemd/child.h"

namespace sc::systemd {
namespace {

std::string stream_of(int fd) {
  struct stat found {};
  if (::fstat(fd, &found) != 0) return {};
  return std::to_string(found.st_dev) + ":" + std::to_string(found.st_ino);
}

TEST_CASE("a descriptor is the journal's when JOURNAL_STREAM names its device and inode") {
  std::array<int, 2> ends{};
  REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
  const base::Fd out(ends[0]);
  const base::Fd in(ends[1]);
  const base::Fd other(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  REQUIRE(other);
  const std::string stream = stream_of(in.get());

  CHECK(is_journal_stream(stream, in.get()));
  CHECK_FALSE(is_journal_stream(stream, other.get()));
  CHECK_FALSE(is_journal_stream(stream, -1));
  CHECK_FALSE(is_journal_stream("", in.get()));
  CHECK_FALSE(is_journal_stream("1", in.get()));
  CHECK_FALSE(is_journal_stream(stream + " ", in.get()));
  CHECK_FALSE(is_journal_stream(stream + ":0", in.get()));
}

TEST_CASE("each field of a line becomes a field of the journal's entry") {
  const std::array<base::log::Field, 2> fields{
      {{"port", "9000"}, {"reason", "connection refused\nby the backend"}}};
  CHECK(journal_entry(base::log::Level::warning, "stream failed", fields) ==
        std::vector<std::string>{
            "MESSAGE=stream failed port=9000 reason=\"connection refused\\x0aby the backend\"",
            "PRIORITY=4", "SYSLOG_IDENTIFIER=stream-conductor", "SC_PORT=9000",
            "SC_REASON=connection refused\\u{a}by the backend"});
}

TEST_CASE("levels are syslog's priorities") {
  using base::log::Level;
  CHECK(journal_entry(Level::debug, "x", {}).at(1) == "PRIORITY=7");
  CHECK(journal_entry(Level::info, "x", {}).at(1) == "PRIORITY=6");
  CHECK(journal_entry(Level::error, "x", {}).at(1) == "PRIORITY=3");
}

TEST_CASE("a field whose name is too long for the journal stays in the message alone") {
  const std::string key(62, 'k');
  const std::array<base::log::Field, 1> fields{{{key, "v"}}};
  const auto entry = journal_entry(base::log::Level::info, "x", fields);
  CHECK(entry.size() == 3);
  CHECK(entry.at(0) == "MESSAGE=x " + key + "=v");
}

// What lands on stderr, when that is a pipe of which JOURNAL_STREAM says `stream`.
std::string stderr_of_a_line(const std::function<std::string(int stderr_fd)>& stream) {
  return test::in_child([&] {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0) return std::string("no pipe");
    ::dup2(ends[1], STDERR_FILENO);
    ::setenv("JOURNAL_STREAM", stream(STDERR_FILENO).c_str(), 1);
    std::string answer = log_to_journal_if_connected() ? "journal: " : "stderr: ";
    base::log::info("hello");
    std::array<char, 256> buffer{};
    const ssize_t count = ::read(ends[0], buffer.data(), buffer.size());
    if (count > 0) answer.append(buffer.data(), static_cast<std::size_t>(count));
    return answer;
  });
}

TEST_CASE("the log leaves stderr for the journal when stderr leads there") {
  // Whether there is a journal here or not, the line is not on stderr in stderr's form.
  const std::string answer = stderr_of_a_line([](int fd) { return stream_of(fd); });
  CHECK(answer.rfind("journal: ", 0) == 0);
  CHECK(answer.find(" info hello") == std::string::npos);
}

TEST_CASE("the log stays on stderr when that was sent elsewhere") {
  const std::string answer = stderr_of_a_line([](int) { return "8:15"; });
  CHECK(answer.rfind("stderr: ", 0) == 0);
  CHECK(answer.find(" info hello") != std::string::npos);
}

}  // namespace
}  // namespace sc::systemd
