#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"

// The log's way into the journal with its fields kept apart: `journalctl SC_PORT=9000`.
namespace sc::systemd {

// Is the descriptor the one that JOURNAL_STREAM names as `device:inode` (systemd.exec(5))? A
// service that was started with its output elsewhere has inherited a value that does not fit.
bool is_journal_stream(std::string_view journal_stream, int fd);

// `KEY=value` for each field of a journal entry (systemd.journal-fields(7)).
std::vector<std::string> journal_entry(base::log::Level level, std::string_view sentence,
                                       std::span<const base::log::Field> fields);

// Sends the log to the journal if stderr leads there; says whether it does.
bool log_to_journal_if_connected();

}  // namespace sc::systemd
