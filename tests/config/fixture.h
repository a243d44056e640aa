#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "config/command_line.h"
#include "support/catch.h"
#include "support/temp_dir.h"

namespace sc::config {

inline std::string write_file(const std::filesystem::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
  return path.string();
}

inline std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// A call of the program on a host of its own: no configuration file but those that the test writes.
struct Call {
  test::TempDir folder;
  std::string default_file = (folder.path() / "default.toml").string();
  Environment environment;

  std::string file(const std::string& text, const std::string& name = "given.toml") const {
    return write_file(folder.path() / name, text);
  }

  Invocation run(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), "stream-conductor");
    std::vector<const char*> argv;
    for (const std::string& argument : arguments) argv.push_back(argument.c_str());
    argv.push_back(nullptr);
    return parse_command_line(static_cast<int>(argv.size()) - 1, argv.data(), environment,
                              {"1.2.3", default_file});
  }

  Configuration serve(std::vector<std::string> arguments = {}) const {
    const Invocation invocation = run(std::move(arguments));
    if (const auto* finished = std::get_if<Finished>(&invocation)) FAIL(finished->err);
    REQUIRE(std::holds_alternative<Serve>(invocation));
    return std::get<Serve>(invocation).configuration;
  }

  Import import(std::vector<std::string> arguments) const {
    const Invocation invocation = run(std::move(arguments));
    if (const auto* finished = std::get_if<Finished>(&invocation)) FAIL(finished->err);
    REQUIRE(std::holds_alternative<Import>(invocation));
    return std::get<Import>(invocation);
  }

  Finished finished(std::vector<std::string> arguments = {}) const {
    const Invocation invocation = run(std::move(arguments));
    REQUIRE(std::holds_alternative<Finished>(invocation));
    return std::get<Finished>(invocation);
  }
};

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

inline auto line_count(const std::string& text) {
  return std::count(text.begin(), text.end(), '\n');
}

}  // namespace sc::config
