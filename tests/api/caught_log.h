#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"

namespace sc::test {

// All log lines while it lives.
struct CaughtLog {
  CaughtLog() {
    base::log::set_sink([this](base::log::Level, std::string_view sentence,
                               std::span<const base::log::Field> fields) {
      lines.push_back(base::log::to_line(sentence, fields));
    });
  }
  ~CaughtLog() { base::log::set_sink({}); }
  std::vector<std::string> refusals() const {
    std::vector<std::string> found;
    for (const std::string& line : lines)
      if (line.starts_with("change refused ")) found.push_back(line);
    return found;
  }
  std::vector<std::string> lines;
};

}  // namespace sc::test
