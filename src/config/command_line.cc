#include "config/command_line.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <optional>
#include <utility>

#include "config/exposure.h"
#include "config/token_arguments.h"

namespace sc::config {
namespace {

constexpr const char* kName = "stream-conductor";
constexpr std::size_t kHelpColumn = 30;  // where descriptions start
constexpr std::size_t kHelpWidth = 65;   // characters of a description in a line

constexpr const char* kFooter =
    "Each setting is also a key of the configuration file (port_range = \"9000-9009\") and a\n"
    "variable of the environment (PORT_RANGE=9000-9009). Flags win over the environment, the\n"
    "environment over the file, the file over the defaults.\n"
    "\n"
    "Exit codes: 0 done, 64 wrong usage, 78 wrong configuration, 1 any other failure.";

constexpr const char* kImportFooter =
    "The flags for settings and --config go with import as well; see stream-conductor --help.\n"
    "\n"
    "Exit codes: 0 done, 64 wrong usage, 78 wrong configuration, 1 any other failure.";

constexpr const char* kTokenFooter =
    "Works while the service runs and while it does not. The flags for settings and --config go\n"
    "with it as well, state_directory above all; see stream-conductor --help.\n"
    "\n"
    "Exit codes: 0 done, 64 wrong usage, 78 wrong configuration, 1 any other failure.";

constexpr const char* kDatabaseFooter =
    "backup and check work while the service runs. restore refuses to, unless --reload is given.\n"
    "The flags for settings and --config go with it as well, state_directory above all; see\n"
    "stream-conductor --help.\n"
    "\n"
    "Exit codes: 0 done, 64 wrong usage, 78 wrong configuration, 1 any other failure; check: 1 if\n"
    "it found something.";

// What CLI11 found in the arguments, not yet looked at.
struct Arguments {
  std::string config;
  // Of the settings, in the order of the table; CLI11 keeps references.
  std::vector<std::string> values = std::vector<std::string>(setting_table().size());
  std::string directory;
  std::string prefix;
  bool check = false;
  bool print_config = false;
  bool dry_run = false;
  TokenArguments token;
  bool json = false;
  std::string database_file;
  bool replace = false;
  bool reload = false;
};

// One value; of several the last one counts, so that a wrapper's flags can be overruled.
CLI::Option* add_value(CLI::App& app, const std::string& name, std::string& into,
                       const std::string& placeholder, const std::string& description) {
  CLI::Option* option = app.add_option(name, into, description);
  option->option_text(placeholder)->take_last();
  // CLI11 takes whatever follows, so that a forgotten value would eat the next flag.
  option->check(
      [](const std::string& value) {
        return value.rfind("--", 0) == 0 ? "its value is missing before " + value : std::string();
      },
      "");
  return option;
}

void add_flag(CLI::App& app, const std::string& name, bool& into, const std::string& description) {
  app.add_flag(name, into, description)->disable_flag_override();
}

// CLI11 reads `--name=` as `--name` without a value; as two arguments it is the empty value.
std::vector<std::string> to_arguments(int argc, const char* const* argv) {
  std::vector<std::string> out;
  for (int i = 1; i < argc; ++i) {
    std::string text = argv[i];
    if (text.rfind("--", 0) == 0 && text.size() > 3 && text.find('=') == text.size() - 1) {
      text.pop_back();
      out.push_back(std::move(text));
      out.emplace_back();
    } else {
      out.push_back(std::move(text));
    }
  }
  std::reverse(out.begin(), out.end());  // as CLI::App::parse(vector) wants them
  return out;
}

Finished usage_error(const std::string& why) {
  const std::string name = kName;
  return {kExitUsage, "", name + ": " + why + "\nTry '" + name + " --help'.\n"};
}

std::string lines(const std::string& lead, const std::vector<std::string>& sentences) {
  std::string out;
  for (const std::string& sentence : sentences) out += lead + sentence + "\n";
  return out;
}

// Into lines that fit beside the names in --help; CLI11 2.1 does not do it.
std::string wrap(std::string text) {
  std::size_t start = 0;
  while (text.size() - start > kHelpWidth) {
    const std::size_t blank = text.rfind(' ', start + kHelpWidth);
    if (blank == std::string::npos || blank <= start) break;
    text[blank] = '\n';
    start = blank + 1;
  }
  return text;
}

// The program's arguments as CLI11 knows them. Lives for one call of parse_command_line().
class Parser {
 public:
  explicit Parser(const Program& program) {
    app_.name(kName);
    app_.get_formatter()->column_width(kHelpColumn);
    app_.set_help_flag("-h,--help", "print this and exit");
    app_.set_version_flag("--version", std::string(kName) + " " + program.version,
                          "print the version and exit");
    app_.footer(kFooter);
    add_value(app_, "--config", arguments_.config, "FILE",
              "the configuration file, instead of\n" + program.default_file);
    add_flag(app_, "--check", arguments_.check, "look for errors in the configuration and exit");
    add_flag(app_, "--print-config", arguments_.print_config,
             "print each setting and where it came from and exit");
    add_settings();
    add_import();
    add_token();
    add_database();
  }

  // Nothing, or what to print instead of going on.
  std::optional<Finished> parse(int argc, const char* const* argv) {
    try {
      app_.parse(to_arguments(argc, argv));
    } catch (const CLI::CallForHelp&) {
      return Finished{kExitDone, app_.help(), ""};
    } catch (const CLI::CallForVersion& version) {
      return Finished{kExitDone, std::string(version.what()) + "\n", ""};
    } catch (const CLI::ParseError& error) {
      return usage_error(error.what());
    }
    // A group of commands alone: the user asks which commands there are.
    for (const CLI::App* group : {token_, database_})
      if (group->parsed() && group->get_subcommands().empty())
        return Finished{kExitDone, app_.help(), ""};
    if ((import_->parsed() || token_->parsed() || database_->parsed()) &&
        (arguments_.check || arguments_.print_config))
      return usage_error("--check and --print-config do not go with import, token and database");
    if (arguments_.database_file == "-")
      return usage_error("FILE must be a file's name; - is not supported");
    if (token_create_->parsed()) {
      auto asked = read_token_arguments(arguments_.token);
      if (!asked) return usage_error(asked.error().message);
      create_ = std::move(*asked);
    }
    return std::nullopt;
  }

  Layers layers(const Environment& environment, const Program& program) const {
    Layers out{program.default_file, std::nullopt, environment, {}};
    if (app_.count("--config") > 0) out.file = arguments_.config;
    for (std::size_t i = 0; i < setting_table().size(); ++i) {
      const Setting& setting = setting_table()[i];
      if (app_.count(flag_name(setting)) > 0) out.flags.emplace(setting.key, arguments_.values[i]);
    }
    return out;
  }

  Invocation decide(Loaded loaded) const {
    const std::string lead = std::string(kName) + ": ";
    if (!loaded.errors.empty()) return Finished{kExitConfig, "", lines(lead, loaded.errors)};
    const std::string notes = lines(lead + "note: ", loaded.notes);
    if (arguments_.print_config)
      return Finished{kExitDone, print_config(loaded.settings, loaded.sources), notes};
    if (arguments_.check) {
      // As far as the settings say it: a socket that is passed takes bind_address' place.
      if (auto fault =
              find_exposure(loaded.settings, !is_loopback_literal(loaded.settings.bind_address)))
        return Finished{kExitConfig, "", lead + *fault + "\n"};
      return Finished{kExitDone, "configuration is valid\n", notes};
    }
    Configuration configuration{std::move(loaded.settings), std::move(loaded.sources),
                                std::move(loaded.notes)};
    if (token_create_->parsed()) {
      CreateToken create = create_;
      create.configuration = std::move(configuration);
      return create;
    }
    if (token_list_->parsed()) return ListTokens{std::move(configuration), arguments_.json};
    if (token_revoke_->parsed())
      return RevokeToken{std::move(configuration), arguments_.token.name};
    if (backup_->parsed())
      return BackUpDatabase{std::move(configuration), arguments_.database_file, arguments_.replace};
    if (restore_->parsed())
      return RestoreDatabase{std::move(configuration), arguments_.database_file, arguments_.reload};
    if (database_check_->parsed())
      return CheckDatabase{std::move(configuration), arguments_.database_file};
    if (!import_->parsed()) return Serve{std::move(configuration)};
    const bool has_directory = import_->count("DIR") > 0;
    const bool has_prefix = import_->count("--prefix") > 0;
    return Import{std::move(configuration),
                  has_directory ? arguments_.directory : loaded.import_place.directory,
                  has_prefix ? arguments_.prefix : loaded.import_place.prefix, arguments_.dry_run};
  }

 private:
  void add_settings() {
    const Settings defaults;
    for (std::size_t i = 0; i < setting_table().size(); ++i) {
      const Setting& setting = setting_table()[i];
      const std::string value = setting.print(defaults);
      const std::string text = std::string(setting.description) + "\n" +
                               wrap("default: " + (value.empty() ? "empty" : value)) + "\n" +
                               wrap("allowed: " + std::string(setting.allowed));
      CLI::Option* option = setting.is_switch
                                ? app_.add_flag(flag_name(setting), arguments_.values.at(i), text)
                                : add_value(app_, flag_name(setting), arguments_.values.at(i),
                                            std::string(setting.placeholder), text);
      option->group("Settings");
    }
  }

  void add_import() {
    import_ = app_.add_subcommand("import", "create the streams that the original service wrote");
    import_->fallthrough();  // the settings' flags are the program's, before or after `import`
    import_->footer(kImportFooter);
    const ImportPlace place;
    add_value(*import_, "DIR", arguments_.directory, " ",
              "the folder of the nginx files\n(STREAM_CONFIG_PATH, else " + place.directory + ")");
    add_value(*import_, "--prefix", arguments_.prefix, "TEXT",
              "what the names of the files start with\n(STREAM_PREFIX, else " + place.prefix + ")");
    add_flag(*import_, "--dry-run", arguments_.dry_run, "say what would be done and exit");
  }

  void add_token() {
    TokenArguments& token = arguments_.token;
    token_ = app_.add_subcommand("token", "create, list or revoke the tokens of the API");
    token_->fallthrough();
    token_->require_subcommand(0, 1);
    token_->footer(kTokenFooter);
    token_create_ = token_->add_subcommand("create", "make a token and print it, once");
    token_create_->fallthrough();
    add_value(*token_create_, "--name", token.name, "NAME", "what history calls who shows it")
        ->required();
    add_value(*token_create_, "--role", token.role, "ROLE", "viewer, operator or admin")
        ->required();
    add_value(*token_create_, "--ports", token.ports, "PORTS",
              "whose streams an operator may change, as in\n9000-9004,9009; all unless given");
    add_value(*token_create_, "--expires", token.expires, "DURATION",
              "how long it lasts, 1m to 365d;\nfor ever unless given");
    token_list_ = token_->add_subcommand("list", "print all tokens, without their secrets");
    token_list_->fallthrough();
    add_flag(*token_list_, "--json", arguments_.json, "print a JSON array for programs");
    token_revoke_ = token_->add_subcommand("revoke", "end a token; within a second it is refused");
    token_revoke_->fallthrough();
    add_value(*token_revoke_, "NAME", token.name, " ", "of the token")->required();
  }

  void add_database() {
    std::string& file = arguments_.database_file;
    database_ = app_.add_subcommand("database", "back up, restore or check the database");
    database_->fallthrough();
    database_->require_subcommand(0, 1);
    database_->footer(kDatabaseFooter);
    backup_ =
        database_->add_subcommand("backup", "copy the database to a file, complete and checked");
    backup_->fallthrough();
    add_value(*backup_, "FILE", file, " ", "the copy")->required();
    add_flag(*backup_, "--force", arguments_.replace, "replace FILE if it is there");
    restore_ = database_->add_subcommand("restore", "replace the database by a copy");
    restore_->fallthrough();
    add_value(*restore_, "FILE", file, " ", "the copy, of this or an earlier version")->required();
    add_flag(*restore_, "--reload", arguments_.reload,
             "replace it while the service runs, which\nthen opens the copy");
    database_check_ =
        database_->add_subcommand("check", "look for damage in the database or a copy");
    database_check_->fallthrough();
    add_value(*database_check_, "FILE", file, " ", "a copy; the service's database unless given");
  }

  CLI::App app_{"Carries TCP from the ports of this host to backends, as asked over REST."};
  // Owned by app_.
  CLI::App* import_ = nullptr;
  CLI::App* token_ = nullptr;
  CLI::App* token_create_ = nullptr;
  CLI::App* token_list_ = nullptr;
  CLI::App* token_revoke_ = nullptr;
  CLI::App* database_ = nullptr;
  CLI::App* backup_ = nullptr;
  CLI::App* restore_ = nullptr;
  CLI::App* database_check_ = nullptr;
  CreateToken create_;  // without its configuration
  Arguments arguments_;
};

}  // namespace

Invocation parse_command_line(int argc, const char* const* argv, const Environment& environment,
                              const Program& program) {
  Parser parser(program);
  if (auto finished = parser.parse(argc, argv)) return std::move(*finished);
  return parser.decide(load(parser.layers(environment, program)));
}

}  // namespace sc::config
