#pragma once

#include <stdlib.h>

#include <cerrno>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <system_error>

#include "base/result.h"

namespace sc::test {

// A new folder below the system's temporary one, gone with all that is in it when this dies.
class TempDir {
 public:
  TempDir() {
    std::string name = std::filesystem::temp_directory_path() / "stream-conductor-test-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr)
      throw std::runtime_error(base::describe_errno("mkdtemp " + name, errno));
    path_ = name;
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir() {
    std::error_code ignored;  // a destructor cannot say it, and the test has its result already
    std::filesystem::remove_all(path_, ignored);
  }

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace sc::test
