#include "config/loader.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "base/text.h"
#include "config/config_file.h"
#include "config/text_file.h"

namespace sc::config {
namespace {

// What the original service was told and this one has no setting for.
struct Inherited {
  std::string_view key;
  std::string_view note;
  std::string ImportPlace::*place;  // nullptr: without effect
};
constexpr std::array<Inherited, 3> kInherited{{
    {"nginx_bin", " is without effect: nginx is not used", nullptr},
    {"stream_config_path", " is used by `stream-conductor import` only", &ImportPlace::directory},
    {"stream_prefix", " is used by `stream-conductor import` only", &ImportPlace::prefix},
}};

// A path within a line of text: as it is, unless it would break the line.
std::string shown_path(const std::string& path) {
  const bool plain = std::none_of(path.begin(), path.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  });
  return plain ? path : base::quoted(path);
}

std::string known_keys() {
  std::string out;
  for (const Setting& setting : setting_table())
    out += (out.empty() ? "" : ", ") + std::string(setting.key);
  return out;
}

// Adds layer over layer to what it is given. Lives for one call of load().
class Loading {
 public:
  explicit Loading(Loaded& into) : into_(into) {}

  void file(const std::string& path, bool has_to_exist) {
    const auto text = read_text_file(path);
    if (!text) {
      if (has_to_exist || text.error().code != base::Errc::not_found)
        error(text.error().message +
              (has_to_exist ? " (flag --config)" : " (default configuration file)"));
      return;
    }
    const std::string source = "file " + shown_path(path);
    const ConfigFile content = parse_config_file(*text);
    for (const ConfigFile::Fault& fault : content.faults)
      error(source + ", line " + std::to_string(fault.line) + ": " + fault.why);
    for (const ConfigFile::Entry& entry : content.entries) {
      const std::string where = source + ", line " + std::to_string(entry.line);
      if (const Setting* setting = find_setting(entry.key)) {
        set(*setting, entry.value, source, where);
      } else if (!inherit(entry.key, entry.value, where)) {
        error("unknown key " + base::quoted(entry.key) + " with value " +
              base::quoted(entry.value) + " (" + where + "); allowed: " + known_keys());
      }
    }
  }

  void environment(const Environment& variables) {
    for (const Setting& setting : setting_table()) {
      const auto found = variables.find(environment_name(setting));
      if (found == variables.end()) continue;
      const std::string source = "environment " + found->first;
      std::string_view value = found->second;
      if (setting.of_environment) value = setting.of_environment(value);
      set(setting, value, source, source);
    }
    for (const Inherited& inherited : kInherited) {
      const auto found = variables.find(base::to_upper(inherited.key));
      if (found != variables.end())
        inherit(inherited.key, found->second, "environment " + found->first);
    }
  }

  void flags(const std::map<std::string, std::string, std::less<>>& given) {
    for (const Setting& setting : setting_table()) {
      const auto found = given.find(setting.key);
      if (found == given.end()) continue;
      const std::string source = "flag " + flag_name(setting);
      set(setting, found->second, source, source);
    }
  }

 private:
  void error(std::string sentence) { into_.errors.push_back(std::move(sentence)); }

  void set(const Setting& setting, std::string_view value, const std::string& source,
           const std::string& where) {
    if (setting.parse(value, into_.settings)) {
      into_.sources.insert_or_assign(std::string(setting.key), source);
      return;
    }
    error(std::string(setting.key) + ": bad value " + base::quoted(value) + " (" + where +
          "); allowed: " + std::string(setting.allowed));
  }

  bool inherit(std::string_view key, const std::string& value, const std::string& where) {
    for (const Inherited& inherited : kInherited) {
      if (inherited.key != key) continue;
      if (inherited.place) into_.import_place.*inherited.place = value;
      into_.notes.push_back(base::to_upper(key) + " (" + where + ")" + std::string(inherited.note));
      return true;
    }
    return false;
  }

  Loaded& into_;
};

}  // namespace

Environment copy_environment(const char* const* variables) {
  Environment out;
  for (; variables && *variables; ++variables) {
    const std::string_view text = *variables;
    const std::size_t equals = text.find('=');
    // The first of two wins, as with getenv(3).
    if (equals != std::string_view::npos)
      out.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return out;
}

Loaded load(const Layers& layers) {
  Loaded out;
  for (const Setting& setting : setting_table())
    out.sources.emplace(std::string(setting.key), "default");
  Loading loading(out);
  loading.file(layers.file.value_or(layers.default_file), layers.file.has_value());
  loading.environment(layers.environment);
  loading.flags(layers.flags);
  return out;
}

}  // namespace sc::config
