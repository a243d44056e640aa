#pragma once

#include "base/clock.h"
#include "config/command_line.h"

namespace sc {

// `stream-conductor import`: takes the original service's nginx files over into the database of a
// service that is not running. Prints what it did and each line that it could not take. The exit
// code: 0, also when lines were left out; 1 when nothing could be read or written.
int import_streams(const config::Import& import, const base::Clock& clock);

}  // namespace sc
