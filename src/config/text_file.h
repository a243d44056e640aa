#pragma once

#include <string>

#include "base/result.h"

namespace sc::config {

// A configuration file is a few kilobytes; what is larger is another file, or a device.
inline constexpr std::size_t kMaxTextFile = std::size_t{1} << 20;

// The whole of a file. not_found: there is none; unavailable: it cannot be read, or is larger than
// kMaxTextFile. The message names the path.
base::Result<std::string> read_text_file(const std::string& path);

}  // namespace sc::config
