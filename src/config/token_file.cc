#include "config/token_file.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/clock.h"
#include "base/digest.h"
#include "base/text.h"
#include "config/text_file.h"

namespace sc::config {
namespace {

using base::Errc;
using base::Error;
using base::Result;

constexpr std::string_view kBlank = " \t";
constexpr std::size_t kLeastSecret = 32;  // characters
constexpr std::string_view kDigest = "sha256:";
constexpr std::string_view kPorts = "ports=";
constexpr std::string_view kExpires = "expires=";

Error bad(std::string why) { return {Errc::invalid, std::move(why)}; }

std::vector<std::string_view> split(std::string_view line) {
  std::vector<std::string_view> words;
  while (true) {
    line.remove_prefix(std::min(line.find_first_not_of(kBlank), line.size()));
    if (line.empty()) return words;
    words.push_back(line.substr(0, line.find_first_of(kBlank)));
    line.remove_prefix(words.back().size());
  }
}

// RFC 6750 section 2.1, b64token: what can stand in an Authorization header.
bool is_presentable(std::string_view secret) {
  return std::all_of(secret.begin(), secret.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view("-._~+/=").find(c) != std::string_view::npos;
  });
}

Result<std::string> read_secret(std::string_view text) {
  if (text.starts_with(kDigest)) {
    std::string digest = base::to_lower(text.substr(kDigest.size()));
    if (!base::is_sha256_hex(digest)) return bad("behind sha256: stand 64 hexadecimal digits");
    return digest;
  }
  if (text.size() < kLeastSecret)
    return bad("the secret is shorter than " + std::to_string(kLeastSecret) + " characters");
  if (!is_presentable(text))
    return bad("the secret has characters other than letters, digits and - . _ ~ + / =");
  std::string digest = base::sha256_hex(text);
  if (!base::is_sha256_hex(digest))
    return bad("the host's libcrypto makes no SHA-256 of the secret");
  return digest;
}

// What stands wrong is not repeated: in a line with a slip any word may be the secret.
Result<core::Token> read_line(const std::vector<std::string_view>& words) {
  if (words.size() < 3) return bad("a line is NAME ROLE SECRET [ports=PORTS] [expires=TIME]");
  core::Token token;
  token.name = std::string(words[0]);
  if (!core::check_token_name(token.name))
    return bad("a token's name is 1 to 64 letters, digits, '.', '_' or '-'");
  const auto role = core::parse_role(words[1]);
  if (!role) return bad("the role is none of viewer, operator, admin");
  token.role = *role;
  auto secret = read_secret(words[2]);
  if (!secret) return secret.error();
  token.sha256 = std::move(*secret);
  for (std::size_t i = 3; i < words.size(); ++i) {
    if (words[i].starts_with(kPorts) && !token.ports) {
      auto ports = core::PortRanges::parse(words[i].substr(kPorts.size()));
      if (!ports) return bad("behind ports= stand no ports and ranges, as in 9000-9004,9009");
      token.ports = std::move(*ports);
    } else if (words[i].starts_with(kExpires) && !token.expires_at) {
      token.expires_at = base::parse_rfc3339(words[i].substr(kExpires.size()));
      if (!token.expires_at) return bad("behind expires= stands no time as 2027-01-01T00:00:00Z");
    } else {
      return bad("behind the secret stands something other than one ports= and one expires=");
    }
  }
  if (auto valid = core::check_token(token); !valid) return valid.error();
  return token;
}

}  // namespace

Result<std::vector<core::Token>> parse_token_file(std::string_view text, const std::string& file) {
  std::vector<core::Token> out;
  for (unsigned number = 1; !text.empty(); ++number) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.ends_with('\r')) line.remove_suffix(1);
    const auto words = split(line);
    if (words.empty() || words.front().front() == '#') continue;
    const std::string where = file + ", line " + std::to_string(number) + ": ";
    auto token = read_line(words);
    if (!token) return bad(where + token.error().message);
    const bool is_taken = std::any_of(out.begin(), out.end(), [&](const core::Token& other) {
      return other.name == token->name || other.sha256 == token->sha256;
    });
    if (is_taken) return bad(where + "the name or the secret stands in a line before");
    out.push_back(std::move(*token));
  }
  return out;
}

Result<std::vector<core::Token>> load_token_credential(const Environment& environment) {
  const auto directory = environment.find("CREDENTIALS_DIRECTORY");
  if (directory == environment.end()) return std::vector<core::Token>();
  const std::string file = directory->second + "/" + kTokenCredential;
  auto text = read_text_file(file);
  if (!text && text.error().code == Errc::not_found) return std::vector<core::Token>();
  if (!text) return bad(text.error().message);
  return parse_token_file(*text, file);
}

}  // namespace sc::config
