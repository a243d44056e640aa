#pragma once

#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"

// The one global thing: the service's log. Any thread.
//
// A line is a sentence and some fields: `log::info("stream opened", {{"port", "9000"}})`. On stderr
// the fields follow the sentence as key=value, or the line is a JSON object; in the journal each
// field becomes a field `SC_<KEY>`.
namespace sc::base::log {

enum class Level : unsigned char { debug, info, warning, error };

std::string_view to_string(Level level);
std::optional<Level> parse_level(std::string_view text);

// Keys are lower-case words with `_`. Values may be anything; what is not printable is escaped.
struct Field {
  std::string_view key;
  std::string value;
};
using Fields = std::initializer_list<Field>;

// Lines below this are dropped. `info` until it is set.
void set_level(Level level);
Level level();
// Ask first where making the fields costs something.
bool enabled(Level level);

// How a line reads on stderr. `text` until it is set.
enum class Format : unsigned char { text, json };

std::string_view to_string(Format format);
std::optional<Format> parse_format(std::string_view text);
void set_format(Format format);

// Takes each line that the level lets through instead of stderr; an empty one gives stderr back.
// Called under a lock, so lines do not mix; it must not log. systemd/journal sets it.
using Sink = std::function<void(Level, std::string_view sentence, std::span<const Field>)>;
void set_sink(Sink sink);

void write(Level level, std::string_view sentence, std::span<const Field> fields);
inline void write(Level level, std::string_view sentence, Fields fields = {}) {
  write(level, sentence, std::span<const Field>(fields.begin(), fields.size()));
}
inline void debug(std::string_view sentence, Fields fields = {}) {
  write(Level::debug, sentence, fields);
}
inline void info(std::string_view sentence, Fields fields = {}) {
  write(Level::info, sentence, fields);
}
inline void warning(std::string_view sentence, Fields fields = {}) {
  write(Level::warning, sentence, fields);
}
inline void error(std::string_view sentence, Fields fields = {}) {
  write(Level::error, sentence, fields);
}

// `sentence key=value key="two words"`: how a line reads on stderr and as a journal MESSAGE.
std::string to_line(std::string_view sentence, std::span<const Field> fields);

// One object without a line break: {"time":"...","level":"info","message":"the sentence",
// "fields":{"port":"9000"}}. Values are strings, as in the journal; fields are an object of their
// own, so that none can take another's place.
std::string to_json(WallTime time, Level level, std::string_view sentence,
                    std::span<const Field> fields);

}  // namespace sc::base::log
