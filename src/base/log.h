#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>

#include "base/clock.h"
#include "base/pulse.h"

// The one global thing: the service's log. Any thread.
//
// A line is a sentence and some fields: `log::info("stream opened", {{"port", "9000"}})`. On stderr
// the fields follow the sentence as key=value, or the line is a JSON object; in the journal each
// field becomes a field `SC_<KEY>`.
namespace sc::base::log {

enum class Level : unsigned char { debug, info, warning, error };

std::string_view to_string(Level level);
std::optional<Level> parse_level(std::string_view text);

// Keys are lower-case words with `_`, literals, as a line may wait (see Thread). Values may be
// anything; what is not printable is escaped.
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
// Called under a lock, so lines do not mix; it must not log. systemd/journal sets it. Before there
// is a Thread.
using Sink = std::function<void(Level, std::string_view sentence, std::span<const Field>)>;
void set_sink(Sink sink);

void write(Level level, std::string_view sentence, std::span<const Field> fields);
// For lines of which there are many, so that they never take the place of others: false, and the
// line is dropped, when more than half of the places for lines that wait are taken.
bool try_write(Level level, std::string_view sentence, std::span<const Field> fields);
inline bool try_write(Level level, std::string_view sentence, Fields fields) {
  return try_write(level, sentence, std::span<const Field>(fields.begin(), fields.size()));
}
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

// While it runs, it alone writes: who logs only leaves the line with it, in memory, and never waits
// for whoever reads stderr or for journald. A line keeps its time. When kMostWaiting wait, further
// ones are dropped; their number is a line as soon as there is room. At most one at a time; without
// it, whoever logs writes. Made, finished and destroyed on one thread.
class Thread {
 public:
  static constexpr std::size_t kMostWaiting = 2048;
  static constexpr std::chrono::seconds kPatience{1};

  Thread();
  Thread(const Thread&) = delete;
  Thread& operator=(const Thread&) = delete;
  ~Thread() { finish(); }

  // Writes what waits. False when that is not done after `patience`: the reader takes nothing. Then
  // the thread is left alone with what it writes, later lines wait with it for ever, and the
  // process should leave by _exit(2), as exit(3) may wait for stderr.
  bool finish(std::chrono::milliseconds patience = kPatience);

  // Wakes the Thread, if there is one, to answer a probe; see pulse(). Any thread.
  static void probe();
  // Its jobs are lines: one that lasts waits for the reader of stderr, or for journald.
  static const Pulse& pulse();

 private:
  std::thread thread_;
  bool has_written_all_ = true;  // once it has finished
};

// `sentence key=value key="two words"`: how a line reads on stderr and as a journal MESSAGE.
std::string to_line(std::string_view sentence, std::span<const Field> fields);

// One object without a line break: {"time":"...","level":"info","message":"the sentence",
// "fields":{"port":"9000"}}. Values are strings, as in the journal; fields are an object of their
// own, so that none can take another's place.
std::string to_json(WallTime time, Level level, std::string_view sentence,
                    std::span<const Field> fields);

}  // namespace sc::base::log
