#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/loader.h"
#include "core/token.h"

namespace sc::config {

// The name of the credential, as in systemd's LoadCredential=api-tokens:/etc/...
inline constexpr const char* kTokenCredential = "api-tokens";

// Lines `NAME ROLE SECRET [ports=9000-9004] [expires=2027-01-01T00:00:00Z]`, the secret as it is
// (32 characters at least) or as sha256:<64 hexadecimal digits>; empty lines and those that begin
// with # count for nothing. invalid: names the file and the line, never the secret.
base::Result<std::vector<core::Token>> parse_token_file(std::string_view text,
                                                        const std::string& file);

// Of $CREDENTIALS_DIRECTORY/api-tokens; none where there is no such variable or file.
base::Result<std::vector<core::Token>> load_token_credential(const Environment& environment);

}  // namespace sc::config
