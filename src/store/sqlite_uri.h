#pragma once

#include <string>

namespace sc::store {

// The `file:` URI of a path, for sqlite3_open_v2() with parameters (sqlite.org/uri.html).
std::string to_uri(const std::string& file);

}  // namespace sc::store
