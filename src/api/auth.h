#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "core/caller.h"
#include "http/message.h"
#include "net/address.h"

namespace sc::api {

// API_AUTH: who may act without a token.
enum class Trust : unsigned char {
  remote,  // loopback and the unix socket
  always,  // the unix socket alone, whose peers the kernel names
  off,     // everybody
};

struct AuthOptions {
  Trust trust = Trust::remote;
  std::vector<std::string> hosts;    // API_HOSTS, as base::comparable_host() writes them
  std::optional<gid_t> admin_group;  // API_ADMIN_GROUP: of the unix peers these are admins
  uid_t own_uid = 0;
  // Where a caller on this host needs no token, see local_url(). Empty: nowhere but the unix
  // socket.
  std::string local_url = {};
  // Returns whether the address belongs to this host. Empty: no address does.
  std::function<bool(const net::Address&)> is_own_address = {};
};

// Returns the URL of the API at a loopback address, such as `http://localhost:5000`, for the
// addresses that it listens on. Empty: it listens on no loopback or wildcard address.
std::string local_url(const std::vector<net::Address>& listeners);

// Fails with forbidden for what a web page of another site can send, and for marks of a browser
// that are given twice. Judged before anything else, as the original's GETs change state, and a
// page can send those by an <img>. A link to our own page may be followed from everywhere.
base::Result<void> check_page(const http::Request& request);

// Returns whether the request asks for a change, as far as its method and path show. It takes any
// path, also one that no route has. The routes decide by themselves.
bool asks_for_change(const http::Request& request);

// Fails with forbidden where a browser opened, prefetched or embedded what changes state. A link in
// a mail that is redirected here has `Sec-Fetch-Site: none`, as if a person had typed the address,
// so check_page() lets it pass. Our own page's scripts, curl and programs pass here too.
base::Result<void> check_change(const http::Request& request);

// Returns what stands behind `Authorization: Bearer`, the scheme in any case (RFC 6750, RFC 9110
// section 11.1), also among credentials of other schemes. nullopt: no credentials are of that
// scheme. Empty: some are, and they cannot be a token.
std::optional<std::string> presented_token(const http::Request& request);

// What tells nothing of the streams: a balancer that asks for /healthz has no token, and the API's
// description and the page's files are in every copy of the service. What the page shows it asks
// for as everybody does.
bool is_for_everybody(const http::Request& request);

// Who asks without a token. unauthorized: has to show one. forbidden: the Host is one under which a
// web page could ask, by a name that it has pointed at this host (DNS rebinding); or a caller on
// this host asks by the host's name, which resolves to another address than loopback.
base::Result<core::Caller> judge_without_token(const http::Request& request,
                                               const AuthOptions& options);

}  // namespace sc::api
