#include "config/token_file.h"

#include "base/digest.h"
#include "config/fixture.h"

namespace sc::config {
namespace {

const std::string kSecret = "0123456789abcdef0123456789abcdef";

TEST_CASE("a credential file has a token in each line") {
  const auto tokens = parse_token_file(
      "# who may\n\n"
      "ci operator " +
          kSecret +
          " ports=9000-9004 expires=2027-01-01T00:00:00Z\r\n"
          "\tboss  admin sha256:" +
          base::sha256_hex("x") +
          "\n"
          "eyes viewer " +
          kSecret + "2 expires=2027-01-01T00:00:00.500Z",
      "f");
  REQUIRE(tokens);
  REQUIRE(tokens->size() == 3);
  CHECK((*tokens)[0].name == "ci");
  CHECK((*tokens)[0].role == core::Role::operator_);
  CHECK((*tokens)[0].sha256 == base::sha256_hex(kSecret));
  CHECK((*tokens)[0].ports->to_string() == "9000-9004");
  CHECK(base::to_iso8601(*(*tokens)[0].expires_at) == "2027-01-01T00:00:00.000Z");
  CHECK((*tokens)[1].sha256 == base::sha256_hex("x"));
  CHECK((*tokens)[1].role == core::Role::admin);
  CHECK((*tokens)[2].expires_at);
}

TEST_CASE("a wrong line is named by file and number, without the secret or anything else of it") {
  const std::string lines[] = {
      "ci operator",
      "ci operator short-secret",
      "c/i operator " + kSecret,
      kSecret + " operator ci",
      "ci root " + kSecret,
      "operator " + kSecret + " ci",
      "ci operator " + kSecret + "\"",
      "ci operator sha256:" + kSecret,
      "ci operator " + kSecret + " ports=9009-9000",
      "ci operator " + kSecret + " ports=9000 ports=9001",
      "ci operator " + kSecret + " expires=tomorrow",
      "ci operator " + kSecret + " " + kSecret,
      "ci admin " + kSecret + " ports=9000",
      "first viewer " + kSecret,          // the name again
      "other viewer " + kSecret + "one",  // the secret again
  };
  for (const std::string& line : lines) {
    INFO(line);
    const auto tokens = parse_token_file("first viewer " + kSecret + "one\n" + line + "\n", "/f");
    REQUIRE_FALSE(tokens);
    CHECK(tokens.error().code == base::Errc::invalid);
    CHECK(tokens.error().message.starts_with("/f, line 2: "));
    for (const char* part : {"0123456789", "short-secret", "tomorrow"})
      CHECK_FALSE(contains(tokens.error().message, part));
  }
}

TEST_CASE("the credential is looked for where systemd puts it") {
  const Call call;
  CHECK(load_token_credential({})->empty());
  const Environment environment{{"CREDENTIALS_DIRECTORY", call.folder.path().string()}};
  CHECK(load_token_credential(environment)->empty());
  call.file("ci viewer " + kSecret + "\n", "api-tokens");
  CHECK(load_token_credential(environment)->size() == 1);
  call.file("ci viewer\n", "api-tokens");
  CHECK(load_token_credential(environment).error().code == base::Errc::invalid);
}

}  // namespace
}  // namespace sc::config
