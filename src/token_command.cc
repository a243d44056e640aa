#include "token_command.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "api/json_writer.h"
#include "base/digest.h"
#include "base/hidden_text.h"
#include "base/text.h"
#include "core/token.h"
#include "folder_owner.h"
#include "store/token_access.h"

namespace sc {
namespace {

constexpr int kExitFailed = 1;

int fail(const std::string& why) {
  std::fprintf(stderr, "stream-conductor token: %s\n", why.c_str());
  return kExitFailed;
}

base::Result<std::unique_ptr<store::TokenAccess>> open(const config::Configuration& from) {
  const std::string& folder = from.settings.state_directory;
  if (auto became = become_owner_of(folder); !became) return became.error();
  return store::TokenAccess::open(folder + "/stream-conductor.db");
}

using Row = std::array<std::string, 7>;

Row to_row(const core::Token& token, base::WallTime now) {
  const auto time = [](const std::optional<base::WallTime>& at, const char* none) {
    return at ? base::to_iso8601(*at) : std::string(none);
  };
  // Ports limit what a caller may change, and a viewer changes nothing.
  const std::string ports = token.role == core::Role::viewer ? "-"
                            : token.ports                    ? token.ports->to_string()
                                                             : "all";
  return {base::show_hidden(token.name),
          std::string(core::to_string(token.role)),
          ports,
          base::to_iso8601(token.created_at),
          time(token.expires_at, "never"),
          time(token.last_used_at, "never"),
          std::string(core::to_string(core::state_of(token, now)))};
}

void print_table(const std::vector<Row>& rows) {
  std::array<std::size_t, std::tuple_size_v<Row>> widths{};
  for (const Row& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i)
      widths.at(i) = std::max(widths.at(i), row.at(i).size());
  for (const Row& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += row.at(i);
      if (i + 1 < row.size()) line.append(widths.at(i) - row.at(i).size() + 2, ' ');
    }
    std::puts(line.c_str());
  }
}

// Field names and values are those of the API: null is "none", times are ISO 8601 in UTC.
std::string to_json(const std::vector<core::Token>& tokens, base::WallTime now) {
  api::JsonWriter out;
  const auto time = [&](const char* key, const std::optional<base::WallTime>& at) {
    at ? out.key(key).string(base::to_iso8601(*at)) : out.key(key).null();
  };
  out.begin_array();
  for (const core::Token& token : tokens) {
    out.begin_object();
    out.key("name").string(token.name);
    out.key("role").string(core::to_string(token.role));
    token.ports ? out.key("ports").string(token.ports->to_string()) : out.key("ports").null();
    time("created_at", token.created_at);
    time("expires_at", token.expires_at);
    time("last_used_at", token.last_used_at);
    time("revoked_at", token.revoked_at);
    out.key("state").string(core::to_string(core::state_of(token, now)));
    out.end_object();
  }
  out.end_array();
  return std::move(out).take();
}

int flushed() { return std::fflush(stdout) == 0 ? config::kExitDone : kExitFailed; }

}  // namespace

int create_token(const config::CreateToken& asked, const base::Clock& clock) {
  auto secret = core::make_token_secret();
  if (!secret) return fail(secret.error().message);
  core::Token token;
  token.name = asked.name;
  token.role = asked.role;
  token.ports = asked.ports;
  token.sha256 = base::sha256_hex(*secret);
  token.created_at = clock.wall();
  if (asked.lasts) token.expires_at = token.created_at + *asked.lasts;
  auto tokens = open(asked.configuration);
  if (!tokens) return fail(tokens.error().message);
  if (auto added = (*tokens)->add(token); !added) return fail(added.error().message);
  // The secret alone on stdout, for TOKEN=$(stream-conductor token create ...).
  std::puts(secret->c_str());
  const Row row = to_row(token, token.created_at);
  std::fprintf(stderr, "%s: role %s, ports %s, expires %s. It is shown this once.\n",
               row[0].c_str(), row[1].c_str(), row[2].c_str(), row[4].c_str());
  return flushed();
}

int list_tokens(const config::ListTokens& asked, const base::Clock& clock) {
  auto tokens = open(asked.configuration);
  if (!tokens) return fail(tokens.error().message);
  const auto found = (*tokens)->list();
  if (!found) return fail(found.error().message);
  if (asked.json) {
    std::fputs(to_json(*found, clock.wall()).c_str(), stdout);
    return flushed();
  }
  std::vector<Row> rows{{"NAME", "ROLE", "PORTS", "CREATED", "EXPIRES", "LAST USED", "STATE"}};
  for (const core::Token& token : *found) rows.push_back(to_row(token, clock.wall()));
  print_table(rows);
  return flushed();
}

int revoke_token(const config::RevokeToken& asked, const base::Clock& clock) {
  auto tokens = open(asked.configuration);
  if (!tokens) return fail(tokens.error().message);
  if (auto revoked = (*tokens)->revoke(asked.name, clock.wall()); !revoked)
    return fail(revoked.error().message);
  std::printf("%s is revoked\n", asked.name.c_str());
  return flushed();
}

}  // namespace sc
