#pragma once

#include "base/clock.h"
#include "config/command_line.h"

namespace sc {

// `stream-conductor import`: takes the original service's nginx files over into the database of a
// service that is not running. Prints what it did and each line that it could not take. A dry run
// changes and makes nothing. Returns the exit code: 0, or 1 if a line could not be taken, nothing
// could be read or written, or a dry run finds no database.
int import_streams(const config::Import& import, const base::Clock& clock);

}  // namespace sc
