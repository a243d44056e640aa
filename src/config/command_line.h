#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "config/loader.h"
#include "config/setting_table.h"
#include "config/settings.h"
#include "core/caller.h"
#include "core/port_range.h"

namespace sc::config {

// As in sysexits.h, so that a supervisor can tell them apart.
inline constexpr int kExitDone = 0;
inline constexpr int kExitUsage = 64;   // EX_USAGE: no such flag, or not so
inline constexpr int kExitConfig = 78;  // EX_CONFIG: a setting has a value that it cannot have

inline constexpr const char* kDefaultFile = "/etc/stream-conductor/stream-conductor.toml";

// What is the same in every call of the program; tests have another file.
struct Program {
  std::string version;
  std::string default_file = kDefaultFile;
};

struct Configuration {
  Settings settings;
  Sources sources;
  std::vector<std::string> notes;  // sentences for the log
};

// The service is to run.
struct Serve {
  Configuration configuration;
};

// The original's streams are to be taken over into the database.
struct Import {
  Configuration configuration;
  std::string directory;
  std::string prefix;  // of the files' names
  bool dry_run = false;
};

// A token is to be made, or all are to be shown, or one is to be taken back.
struct CreateToken {
  Configuration configuration;
  std::string name;
  core::Role role = core::Role::viewer;
  std::optional<core::PortRanges> ports;
  std::optional<std::chrono::milliseconds> lasts;
};
struct ListTokens {
  Configuration configuration;
  bool json = false;
};
struct RevokeToken {
  Configuration configuration;
  std::string name;
};

// The database is copied while a service may use it.
struct BackUpDatabase {
  Configuration configuration;
  std::string file;
  bool replace = false;  // a file that is there
};
// The database becomes the one of the file. `reload`: a running service takes it up at once.
struct RestoreDatabase {
  Configuration configuration;
  std::string file;
  bool reload = false;
};
struct CheckDatabase {
  Configuration configuration;
  std::string file;  // empty: the database of the settings
};

// There is nothing more to do than to print and exit: an answer, or the errors.
struct Finished {
  int exit_code = kExitDone;
  std::string out;
  std::string err;
};

using Invocation = std::variant<Serve, Import, CreateToken, ListTokens, RevokeToken, BackUpDatabase,
                                RestoreDatabase, CheckDatabase, Finished>;

// What the arguments, the environment and the configuration file ask for. Reads that file, but
// prints nothing and never exits. Called again it reads anew, as for a reload.
Invocation parse_command_line(int argc, const char* const* argv, const Environment& environment,
                              const Program& program);

}  // namespace sc::config
