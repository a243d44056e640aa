#include "systemd/journal.h"

// The place in the source would be this file for every line.
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <sys/stat.h>
#include <sys/uio.h>
#include <syslog.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include <cstdlib>
#include <limits>

#include "base/hidden_text.h"
#include "base/text.h"

namespace sc::systemd {
namespace {

constexpr std::size_t kMaxFieldName = 64;  // the journal drops longer ones

int to_priority(base::log::Level level) {
  switch (level) {
    case base::log::Level::debug:
      return LOG_DEBUG;
    case base::log::Level::info:
      return LOG_INFO;
    case base::log::Level::warning:
      return LOG_WARNING;
    case base::log::Level::error:
      return LOG_ERR;
  }
  return LOG_INFO;
}

void send_to_journal(base::log::Level level, std::string_view sentence,
                     std::span<const base::log::Field> fields) {
  std::vector<std::string> entry = journal_entry(level, sentence, fields);
  std::vector<iovec> parts;
  parts.reserve(entry.size());
  for (std::string& part : entry) parts.push_back({part.data(), part.size()});
  if (::sd_journal_sendv(parts.data(), static_cast<int>(parts.size())) == 0) return;

  // Out of descriptors, say. stderr is a stream to the journal that is open already; `<4>` is how a
  // line there names its priority (sd-daemon(3)).
  std::string line = "<";
  line += std::to_string(to_priority(level));
  line += '>';
  line += base::log::to_line(sentence, fields);
  line += '\n';
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace

bool is_journal_stream(std::string_view journal_stream, int fd) {
  const std::size_t colon = journal_stream.find(':');
  if (colon == std::string_view::npos) return false;
  constexpr auto kMost = std::numeric_limits<std::uint64_t>::max();
  const auto device = base::parse_unsigned(journal_stream.substr(0, colon), 0, kMost);
  const auto inode = base::parse_unsigned(journal_stream.substr(colon + 1), 0, kMost);
  struct stat found {};
  return device && inode && ::fstat(fd, &found) == 0 && *device == found.st_dev &&
         *inode == found.st_ino;
}

std::vector<std::string> journal_entry(base::log::Level level, std::string_view sentence,
                                       std::span<const base::log::Field> fields) {
  std::vector<std::string> entry;
  entry.reserve(3 + fields.size());
  entry.push_back("MESSAGE=" + base::log::to_line(sentence, fields));
  entry.push_back("PRIORITY=" + std::to_string(to_priority(level)));
  entry.emplace_back("SYSLOG_IDENTIFIER=stream-conductor");
  for (const base::log::Field& field : fields) {
    const std::string name = "SC_" + base::to_upper(field.key);
    if (name.size() <= kMaxFieldName) entry.push_back(name + "=" + base::show_hidden(field.value));
  }
  return entry;
}

bool log_to_journal_if_connected() {
  const char* const journal_stream = std::getenv("JOURNAL_STREAM");
  if (journal_stream == nullptr || !is_journal_stream(journal_stream, STDERR_FILENO)) return false;
  base::log::set_sink(&send_to_journal);
  return true;
}

}  // namespace sc::systemd
