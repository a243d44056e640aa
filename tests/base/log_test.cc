#include "base/log.h"

#include <fcntl.h>

#include <algorithm>
#include <fstream>
#include <future>
#include <map>
#include <regex>
#include <sstream>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "support/catch.h"
#include "support/temp_dir.h"

namespace sc::test {
namespace {

namespace log = base::log;
using log::Level;
using namespace std::string_literals;

struct Line {
  Level level;
  std::string sentence;
  std::map<std::string, std::string> fields;
};

// Catches the log's lines; gives stderr and the level back at its end.
struct SinkFixture {
  SinkFixture() {
    log::set_sink([this](Level level, std::string_view sentence, std::span<const log::Field> all) {
      Line line{level, std::string(sentence), {}};
      for (const log::Field& field : all) line.fields.emplace(field.key, field.value);
      lines.push_back(std::move(line));
    });
  }
  ~SinkFixture() {
    log::set_sink({});
    log::set_level(before);
  }
  SinkFixture(const SinkFixture&) = delete;
  SinkFixture& operator=(const SinkFixture&) = delete;

  Level before = log::level();
  std::vector<Line> lines;  // under the log's own lock while threads write
};

// What goes to descriptor 2 while `work` runs.
template <class Work>
std::string stderr_of(Work work) {
  const TempDir dir;
  const auto path = dir.path() / "stderr";
  const base::Fd saved(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3));
  {
    const base::Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    ::dup2(file.get(), STDERR_FILENO);
  }
  work();
  ::dup2(saved.get(), STDERR_FILENO);
  std::ostringstream all;
  all << std::ifstream(path).rdbuf();
  return all.str();
}

TEST_CASE_METHOD(SinkFixture, "a sink gets the level, the sentence and the fields") {
  log::warning("stream failed", {{"port", "9000"}, {"reason", "taken; \"really\""}});
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].level == Level::warning);
  CHECK(lines[0].sentence == "stream failed");
  CHECK(lines[0].fields ==
        std::map<std::string, std::string>{{"port", "9000"}, {"reason", "taken; \"really\""}});
}

TEST_CASE_METHOD(SinkFixture, "lines below the level are dropped") {
  const auto write_all = [] {
    log::debug("d");
    log::info("i");
    log::warning("w");
    log::error("e");
  };
  const std::vector<std::pair<Level, std::size_t>> passing{
      {Level::debug, 4}, {Level::info, 3}, {Level::warning, 2}, {Level::error, 1}};
  for (const auto& [level, count] : passing) {
    log::set_level(level);
    CHECK(log::level() == level);
    CHECK(log::enabled(level));
    lines.clear();
    write_all();
    CHECK(lines.size() == count);
  }
  CHECK_FALSE(log::enabled(Level::warning));
}

TEST_CASE("a level's word is read back as the level") {
  for (const Level level : {Level::debug, Level::info, Level::warning, Level::error})
    CHECK(log::parse_level(log::to_string(level)) == level);
  for (const char* bad : {"", "DEBUG", "warn", "info ", "trace", "0"})
    CHECK_FALSE(log::parse_level(bad));
}

std::string line_of(std::string_view sentence, std::vector<log::Field> fields) {
  return log::to_line(sentence, fields);
}

TEST_CASE("a line is the sentence and its fields as key=value") {
  CHECK(line_of("it started", {}) == "it started");
  CHECK(line_of("opened", {{"port", "9000"}, {"backend", "[::1]:80"}}) ==
        "opened port=9000 backend=[::1]:80");
}

TEST_CASE("a value that is not one plain word is quoted, so that no line can be forged") {
  CHECK(line_of("s", {{"k", ""}}) == "s k=\"\"");
  CHECK(line_of("s", {{"k", "two words"}}) == "s k=\"two words\"");
  CHECK(line_of("s", {{"k", "a=b"}}) == "s k=\"a=b\"");
  CHECK(line_of("s", {{"k", "say \"x\""}}) == R"(s k="say \"x\"")");
  CHECK(line_of("s", {{"k", "x\n2026 error forged"}}) == R"(s k="x\x0a2026 error forged")");
  CHECK(line_of("s", {{"k", "\x1b[2J"}}) == R"(s k="\x1b[2J")");
  CHECK(line_of("s", {{"k", "a\0b"s}}) == R"(s k="a\x00b")");
}

TEST_CASE("a sentence keeps its letters and shows the codes of its control characters") {
  CHECK(line_of("b\xc3\xbc"
                "cher\n\x1b[0m\x7f\0end"s,
                {}) ==
        "b\xc3\xbc"
        "cher\\u{a}\\u{1b}[0m\\u{7f}\\u{0}end");
}

TEST_CASE("without a sink a line goes to stderr with its time in UTC and its level") {
  const std::string written = stderr_of([] { log::error("went wrong", {{"port", "9000"}}); });
  const std::regex form(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z error went wrong port=9000\n)");
  CAPTURE(written);
  CHECK(std::regex_match(written, form));
}

TEST_CASE("a line goes to stderr as a JSON object where that is asked for, and back") {
  log::set_format(log::Format::json);
  const std::string written = stderr_of([] { log::error("went {} wrong", {{"port", "9000"}}); });
  log::set_format(log::Format::text);
  const std::regex form(R"re(\{"time":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z","level":"error",)re"
                        R"re("message":"went \{\} wrong","fields":\{"port":"9000"\}\}\n)re");
  CAPTURE(written);
  CHECK(std::regex_match(written, form));
  CHECK(stderr_of([] { log::error("text again"); }).find(" error text again\n") !=
        std::string::npos);
}

TEST_CASE("a format's word is read back as the format") {
  for (const log::Format format : {log::Format::text, log::Format::json})
    CHECK(log::parse_format(log::to_string(format)) == format);
  for (const char* bad : {"", "JSON", "logfmt"}) CHECK_FALSE(log::parse_format(bad));
}

TEST_CASE("braces in a line are not taken for a format") {
  const std::string written = stderr_of([] { log::error("a {} b {0:d} c", {{"k", "{}"}}); });
  CHECK(written.find("a {} b {0:d} c k={}\n") != std::string::npos);
}

TEST_CASE_METHOD(SinkFixture, "lines of many threads do not mix and none is lost") {
  constexpr int kThreads = 8;
  constexpr int kEach = 2000;
  std::vector<std::thread> writers;
  for (int thread = 0; thread < kThreads; ++thread)
    writers.emplace_back([thread] {
      for (int i = 0; i < kEach; ++i)
        log::info("from " + std::to_string(thread),
                  {{"thread", std::to_string(thread)}, {"place", std::to_string(i)}});
    });
  for (std::thread& writer : writers) writer.join();

  REQUIRE(lines.size() == kThreads * kEach);
  std::map<std::string, int> next;
  bool in_order = true;
  for (const Line& line : lines) {
    const std::string& thread = line.fields.at("thread");
    in_order = in_order && line.sentence == "from " + thread &&
               line.fields.at("place") == std::to_string(next[thread]++);
  }
  CHECK(in_order);
  CHECK(next.size() == kThreads);
}

TEST_CASE("whole lines of many threads arrive on stderr") {
  const std::string written = stderr_of([] {
    std::vector<std::thread> writers;
    for (int thread = 0; thread < 4; ++thread)
      writers.emplace_back([] {
        for (int i = 0; i < 250; ++i) log::error("line", {{"filler", std::string(100, 'x')}});
      });
    for (std::thread& writer : writers) writer.join();
  });
  std::istringstream all(written);
  int count = 0;
  for (std::string line; std::getline(all, line); ++count) {
    const std::string_view tail(line);
    if (tail.substr(std::min<std::size_t>(25, tail.size())) !=
        "error line filler=" + std::string(100, 'x'))
      FAIL("a mixed line: " << line);
  }
  CHECK(count == 1000);
}

// A log whose reader takes nothing before he is told to.
struct SlowReader {
  SlowReader() {
    log::set_sink([this](Level, std::string_view sentence, std::span<const log::Field> fields) {
      lines.emplace_back(sentence);
      for (const log::Field& field : fields) lines.back() += " " + field.value;
      if (lines.size() == 1) came.set_value();
      goes_on.wait();
    });
  }
  SlowReader(const SlowReader&) = delete;
  SlowReader& operator=(const SlowReader&) = delete;
  ~SlowReader() { log::set_sink({}); }

  std::promise<void> came;  // the first line
  std::promise<void> let_go;
  std::shared_future<void> goes_on{let_go.get_future()};
  std::vector<std::string> lines;  // the Thread's; ours when it has finished
};

TEST_CASE_METHOD(SlowReader,
                 "with a thread nobody waits for the log's reader, and no line is lost") {
  log::Thread thread;
  std::vector<std::string> written;
  for (int i = 0; i < 100; ++i) {
    written.push_back("line " + std::to_string(i));
    log::error(written.back());
  }
  came.get_future().wait();
  written.emplace_back("the last");
  log::error(written.back());
  CHECK_FALSE(goes_on.wait_for(std::chrono::seconds(0)) == std::future_status::ready);
  let_go.set_value();
  CHECK(thread.finish(std::chrono::minutes(1)));
  CHECK(lines == written);
  log::error("afterwards");
  CHECK(lines.back() == "afterwards");
}

TEST_CASE_METHOD(SlowReader,
                 "what finds no place is counted, and many of a kind leave room for others") {
  constexpr std::size_t kMost = log::Thread::kMostWaiting;
  log::Thread thread;
  log::error("held up");
  came.get_future().wait();
  std::size_t taken = 0;
  while (taken <= kMost && log::try_write(Level::error, "many", {{"k", "v"}})) ++taken;
  CHECK(taken == kMost / 2);
  for (std::size_t i = 0; i < kMost / 2; ++i) log::error("other");
  for (int i = 0; i < 3; ++i) log::error("too many");
  let_go.set_value();
  CHECK(thread.finish(std::chrono::minutes(1)));
  const auto count = [&](const std::string& line) {
    return static_cast<std::size_t>(std::count(lines.begin(), lines.end(), line));
  };
  CHECK(count("many v") == kMost / 2);
  CHECK(count("other") == kMost / 2);
  CHECK(count("too many") == 0);
  CHECK(count("lines were dropped, as the log is taken too slowly 3") == 1);
}

}  // namespace
}  // namespace sc::test
