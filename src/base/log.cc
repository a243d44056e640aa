#include "base/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <utility>
#include <vector>

#include "base/blocked_signals.h"
#include "base/hidden_text.h"
#include "base/json_text.h"
#include "base/text.h"

namespace sc::base::log {
namespace {

constexpr std::array<std::string_view, 4> kNames{"debug", "info", "warning", "error"};
constexpr std::array<std::string_view, 2> kFormats{"text", "json"};

spdlog::level::level_enum to_spdlog(Level level) {
  switch (level) {
    case Level::debug:
      return spdlog::level::debug;
    case Level::info:
      return spdlog::level::info;
    case Level::warning:
      return spdlog::level::warn;
    case Level::error:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

struct Line {
  WallTime time{};
  Level level = Level::info;
  std::string sentence;
  std::vector<Field> fields;
};

struct Logger {
  Logger() : to_stderr("stream-conductor", std::make_shared<spdlog::sinks::stderr_sink_mt>()) {
    to_stderr.set_formatter(std::make_unique<spdlog::pattern_formatter>("%v"));
    to_stderr.set_level(spdlog::level::debug);
    to_stderr.flush_on(spdlog::level::debug);
  }

  std::atomic<Level> level{Level::info};
  std::atomic<Format> format{Format::text};

  // Held while a line goes out, which lasts as long as its reader likes; guards the next two.
  std::mutex out;
  Sink sink;
  spdlog::logger to_stderr;

  // Held for moments only; guards the rest. `changed` wakes the Thread, `ended` who waits for it.
  std::mutex queue;
  std::condition_variable changed;
  std::condition_variable ended;
  std::deque<Line> waiting;
  std::size_t dropped = 0;
  bool has_thread = false;
  bool is_finishing = false;

  Pulse pulse;  // of the Thread
};

// Never destroyed: a thread may log while the process ends.
Logger& logger() {
  static auto* const instance = new Logger;
  return *instance;
}

void put(const Line& line) {
  Logger& log = logger();
  const std::lock_guard lock(log.out);
  if (log.sink) {
    log.sink(line.level, line.sentence, line.fields);
    return;
  }
  // UTC, as in the database, so that both can be laid side by side.
  std::string text;
  if (log.format.load(std::memory_order_relaxed) == Format::json) {
    text = to_json(line.time, line.level, line.sentence, line.fields);
  } else {
    text = to_iso8601(line.time) + ' ';
    text += to_string(line.level);
    text += ' ' + to_line(line.sentence, line.fields);
  }
  log.to_stderr.log(to_spdlog(line.level), "{}", text);
}

// False: `most` lines wait already.
bool leave_or_put(Line line, std::size_t most) {
  Logger& log = logger();
  {
    const std::lock_guard lock(log.queue);
    if (log.has_thread) {
      if (log.waiting.size() >= most) return false;
      log.waiting.push_back(std::move(line));
      log.changed.notify_one();
      return true;
    }
  }
  put(line);
  return true;
}

// The Thread's.
void put_what_waits() {
  Logger& log = logger();
  std::unique_lock lock(log.queue);
  for (;;) {
    log.changed.wait(lock, [&] {
      log.pulse.beat();
      return !log.waiting.empty() || log.is_finishing;
    });
    Line line;
    if (log.dropped > 0 && log.waiting.size() <= Thread::kMostWaiting / 2) {
      line = {SystemClock().wall(),
              Level::warning,
              "lines were dropped, as the log is taken too slowly",
              {{"lines", std::to_string(std::exchange(log.dropped, 0))}}};
    } else if (!log.waiting.empty()) {
      line = std::move(log.waiting.front());
      log.waiting.pop_front();
    } else {
      break;
    }
    lock.unlock();
    {
      const Pulse::Job job(log.pulse);
      put(line);
    }
    lock.lock();
  }
  log.has_thread = false;  // under the lock: nothing can be left with it any more
  log.ended.notify_all();
}

bool is_plain(std::string_view value) {
  if (value.empty()) return false;
  for (const char c : value)
    if (c <= ' ' || c >= 0x7f || c == '"' || c == '=') return false;
  return true;
}

}  // namespace

std::string_view to_string(Level level) { return kNames.at(static_cast<std::size_t>(level)); }

std::optional<Level> parse_level(std::string_view text) {
  for (std::size_t i = 0; i < kNames.size(); ++i)
    if (kNames.at(i) == text) return static_cast<Level>(i);
  return std::nullopt;
}

void set_level(Level level) { logger().level.store(level, std::memory_order_relaxed); }
Level level() { return logger().level.load(std::memory_order_relaxed); }
bool enabled(Level wanted) { return wanted >= level(); }

std::string_view to_string(Format format) { return kFormats.at(static_cast<std::size_t>(format)); }

std::optional<Format> parse_format(std::string_view text) {
  for (std::size_t i = 0; i < kFormats.size(); ++i)
    if (kFormats.at(i) == text) return static_cast<Format>(i);
  return std::nullopt;
}

void set_format(Format format) { logger().format.store(format, std::memory_order_relaxed); }

void set_sink(Sink sink) {
  const std::lock_guard lock(logger().out);
  logger().sink = std::move(sink);
}

void write(Level wanted, std::string_view sentence, std::span<const Field> fields) {
  if (!enabled(wanted)) return;
  Line line{SystemClock().wall(), wanted, std::string(sentence), {fields.begin(), fields.end()}};
  if (leave_or_put(std::move(line), Thread::kMostWaiting)) return;
  const std::lock_guard lock(logger().queue);
  ++logger().dropped;
}

bool try_write(Level wanted, std::string_view sentence, std::span<const Field> fields) {
  if (!enabled(wanted)) return true;
  return leave_or_put(
      {SystemClock().wall(), wanted, std::string(sentence), {fields.begin(), fields.end()}},
      Thread::kMostWaiting / 2);
}

Thread::Thread() {
  Logger& log = logger();
  const std::lock_guard lock(log.queue);
  log.is_finishing = false;
  const BlockedSignals none_there;
  thread_ = std::thread(put_what_waits);
  log.has_thread = true;  // not if the host gave none
}

bool Thread::finish(std::chrono::milliseconds patience) {
  if (!thread_.joinable()) return has_written_all_;
  Logger& log = logger();
  {
    std::unique_lock lock(log.queue);
    log.is_finishing = true;
    log.changed.notify_one();
    has_written_all_ = log.ended.wait_for(lock, patience, [&] { return !log.has_thread; });
  }
  if (has_written_all_)
    thread_.join();
  else
    thread_.detach();  // what it uses is never destroyed
  return has_written_all_;
}

void Thread::probe() {
  Logger& log = logger();
  const std::lock_guard lock(log.queue);
  if (!log.has_thread) return;
  log.pulse.ask();
  log.changed.notify_one();
}

const Pulse& Thread::pulse() { return logger().pulse; }

std::string to_line(std::string_view sentence, std::span<const Field> fields) {
  std::string line;
  line.reserve(sentence.size() + 32 * fields.size());
  line += show_hidden(sentence);
  for (const Field& field : fields) {
    line += ' ';
    line += field.key;
    line += '=';
    line += is_plain(field.value) ? field.value : quoted(field.value);
  }
  return line;
}

std::string to_json(WallTime time, Level level, std::string_view sentence,
                    std::span<const Field> fields) {
  std::string line = "{\"time\":" + json_string(to_iso8601(time));
  line += ",\"level\":" + json_string(to_string(level));
  line += ",\"message\":" + json_string(sentence) + ",\"fields\":{";
  for (const Field& field : fields) {
    if (&field != fields.data()) line += ',';
    line += json_string(field.key) + ':' + json_string(field.value);
  }
  return line + "}}";
}

}  // namespace sc::base::log
