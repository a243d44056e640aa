#pragma once

#include "base/clock.h"
#include "config/command_line.h"

// `stream-conductor token ...`, beside a service that runs or not. Each prints what it did and
// gives the exit code: 0, or 1 when it could not be done. Run by root they act as the folder's
// owner, so that what SQLite makes there belongs to the service.
namespace sc {

int create_token(const config::CreateToken& asked, const base::Clock& clock);
int list_tokens(const config::ListTokens& asked, const base::Clock& clock);
int revoke_token(const config::RevokeToken& asked, const base::Clock& clock);

}  // namespace sc
