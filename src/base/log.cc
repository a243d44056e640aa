#include "base/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <array>
#include <atomic>
#include <mutex>

#include "base/text.h"

namespace sc::base::log {
namespace {

constexpr std::array<std::string_view, 4> kNames{"debug", "info", "warning", "error"};

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

struct Logger {
  Logger() : to_stderr("stream-conductor", std::make_shared<spdlog::sinks::stderr_sink_mt>()) {
    // UTC, as in the database, so that both can be laid side by side.
    to_stderr.set_formatter(std::make_unique<spdlog::pattern_formatter>(
        "%Y-%m-%dT%H:%M:%S.%eZ %l %v", spdlog::pattern_time_type::utc));
    to_stderr.set_level(spdlog::level::debug);
    to_stderr.flush_on(spdlog::level::debug);
  }

  std::atomic<Level> level{Level::info};
  std::mutex mutex;  // guards sink
  Sink sink;
  spdlog::logger to_stderr;
};

// Never destroyed: a thread may log while the process ends.
Logger& logger() {
  static auto* const instance = new Logger;
  return *instance;
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

void set_sink(Sink sink) {
  const std::lock_guard lock(logger().mutex);
  logger().sink = std::move(sink);
}

void write(Level wanted, std::string_view sentence, Fields fields) {
  if (!enabled(wanted)) return;
  const std::span<const Field> all(fields.begin(), fields.size());
  const std::lock_guard lock(logger().mutex);
  if (logger().sink) {
    logger().sink(wanted, sentence, all);
    return;
  }
  logger().to_stderr.log(to_spdlog(wanted), "{}", to_line(sentence, all));
}

std::string to_line(std::string_view sentence, std::span<const Field> fields) {
  std::string line;
  line.reserve(sentence.size() + 32 * fields.size());
  for (const char c : sentence) line += (c >= 0x20 && c != 0x7f) || (c & 0x80) != 0 ? c : '?';
  for (const Field& field : fields) {
    line += ' ';
    line += field.key;
    line += '=';
    line += is_plain(field.value) ? field.value : quoted(field.value);
  }
  return line;
}

}  // namespace sc::base::log
