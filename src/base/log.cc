#include "base/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <array>
#include <atomic>
#include <mutex>

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

struct Logger {
  Logger() : to_stderr("stream-conductor", std::make_shared<spdlog::sinks::stderr_sink_mt>()) {
    set_format(Format::text);
    to_stderr.set_level(spdlog::level::debug);
    to_stderr.flush_on(spdlog::level::debug);
  }

  void set_format(Format wanted) {
    format = wanted;
    // UTC, as in the database, so that both can be laid side by side. A JSON line has its own.
    to_stderr.set_formatter(std::make_unique<spdlog::pattern_formatter>(
        wanted == Format::json ? "%v" : "%Y-%m-%dT%H:%M:%S.%eZ %l %v",
        spdlog::pattern_time_type::utc));
  }

  std::atomic<Level> level{Level::info};
  std::mutex mutex;  // guards format and sink
  Format format = Format::text;
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

std::string_view to_string(Format format) { return kFormats.at(static_cast<std::size_t>(format)); }

std::optional<Format> parse_format(std::string_view text) {
  for (std::size_t i = 0; i < kFormats.size(); ++i)
    if (kFormats.at(i) == text) return static_cast<Format>(i);
  return std::nullopt;
}

void set_format(Format format) {
  const std::lock_guard lock(logger().mutex);
  logger().set_format(format);
}

void set_sink(Sink sink) {
  const std::lock_guard lock(logger().mutex);
  logger().sink = std::move(sink);
}

void write(Level wanted, std::string_view sentence, std::span<const Field> fields) {
  if (!enabled(wanted)) return;
  const std::lock_guard lock(logger().mutex);
  if (logger().sink) {
    logger().sink(wanted, sentence, fields);
    return;
  }
  logger().to_stderr.log(to_spdlog(wanted), "{}",
                         logger().format == Format::json
                             ? to_json(SystemClock().wall(), wanted, sentence, fields)
                             : to_line(sentence, fields));
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
