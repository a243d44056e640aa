#pragma once

#include <string_view>

#include "base/result.h"

struct sqlite3;
namespace SQLite {
class Exception;
}

namespace sc::store {

// What went wrong in words, and what SQLite says: "WHAT: the disk is full (database or disk is
// full)". `connection`, if it is still as the failure left it, adds the kernel's reason. internal
// for what we or a row did wrong, unavailable for what may work later.
base::Error to_error(std::string_view what, const SQLite::Exception& failure,
                     sqlite3* connection = nullptr);

}  // namespace sc::store
