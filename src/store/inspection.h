#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "base/result.h"
#include "store/migrations.h"

namespace sc::store {

// Looks at a database before anything is written to it, by a read-only connection: is it whole,
// ours, and one that this binary knows? Answers how many of the migrations it has; 0 for a file
// that is missing or empty. The error names the file and what is wrong with it. Leaves nothing
// beside a database of somebody else. The one thing that is written is what a crash left unfinished
// in the `-journal` of ours: SQLite rolls it back, as for everybody who opens it.
base::Result<std::size_t> inspect(const std::string& file, std::span<const Migration> known);

}  // namespace sc::store
