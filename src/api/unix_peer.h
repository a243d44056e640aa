#pragma once

#include <string>
#include <string_view>

#include "api/auth.h"
#include "core/caller.h"
#include "http/message.h"

namespace sc::api {

// What a process says that it is, which any process may choose: printable ASCII, else `?`; no
// parentheses, as it stands in some.
std::string sanitized_process_name(std::string_view comm);

// Called `uid 1000 (curl)`, or `uid 1000` where /proc does not show the process, as under systemd's
// ProtectProc=invisible or when it has gone. Everybody is an admin while there is no admin group;
// else root, our own user and the group's members, and all others are viewers.
core::Caller judge_unix_peer(const net::PeerCredentials& peer, const AuthOptions& options);

}  // namespace sc::api
