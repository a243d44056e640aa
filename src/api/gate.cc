#include "api/gate.h"

#include <utility>

#include "api/problem.h"
#include "base/log.h"
#include "http/peer_host.h"

namespace sc::api {
namespace {

// RFC 6750 section 3.1. One text for unknown, expired and revoked: which of them it is helps only
// whoever guesses.
http::Response wrong_token(const std::string& request_id) {
  http::Response response = problem(401, "the token is not valid", request_id);
  for (http::Header& header : response.headers)
    if (header.name == "WWW-Authenticate") header.value = "Bearer error=\"invalid_token\"";
  return response;
}

http::Response too_many_failures(std::chrono::milliseconds wait, const std::string& request_id) {
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(wait).count();
  http::Response response =
      problem(429,
              "the token is not valid, and too many such tokens came from this address; a valid "
              "token is accepted at once, the next wrong one gets 401 again in " +
                  std::to_string(seconds) + " s",
              request_id);
  response.headers.push_back({"Retry-After", std::to_string(seconds)});
  response.close = true;
  return response;
}

}  // namespace

Gate::Gate(AuthOptions options, const base::Clock& clock, TokenBook& book, Later later, Next next)
    : options_(std::move(options)),
      clock_(clock),
      book_(book),
      later_(std::move(later)),
      next_(std::move(next)),
      refusals_(clock, later_) {}

void Gate::admit(http::Request request, http::Responder responder) {
  log_if_refused(request, std::string(kNoPrincipal), responder);
  if (auto page = check_page(request); !page) {
    responder.respond(problem(page.error(), request.id));
    return;
  }
  if (const auto token = presented_token(request)) {
    look_up(*token, std::move(request), std::move(responder));
    return;
  }
  const auto caller = judge_without_token(request, options_);
  if (caller) {
    let_in(request, *caller, std::move(responder));
  } else if (is_for_everybody(request)) {
    let_in(request, {"nobody", core::Role::viewer, {}}, std::move(responder));
  } else {
    responder.respond(problem(caller.error(), request.id));
  }
}

// Does nothing for what changes nothing: most requests are scrapes.
void Gate::log_if_refused(const http::Request& request, std::string principal,
                          http::Responder& responder) {
  if (!asks_for_change(request)) return;
  responder.set_on_answer([this, principal = std::move(principal), peer = request.peer,
                           method = request.method, path = request.path,
                           id = request.id](const http::Response& answer) {
    if (answer.status != 401 && answer.status != 403 && answer.status != 429) return;
    const std::string local = "unix";
    refusals_.note(Refusal{.principal = principal,
                           .address = peer.is_unix() ? local : peer.ip(),
                           .host = peer.is_unix() ? local : http::host_key(peer),
                           .method = method,
                           .path = path,
                           .request_id = id,
                           .status = answer.status,
                           .problem = std::string(answer.problem)});
  });
}

void Gate::let_in(const http::Request& request, const core::Caller& caller,
                  http::Responder responder) {
  log_if_refused(request, caller.name, responder);
  next_(request, caller, std::move(responder));
}

// A valid token is let in whatever else came from its address: behind a NAT or a proxy one caller
// with a wrong token must not lock out the others.
void Gate::look_up(const std::string& token, http::Request request, http::Responder responder) {
  book_.find(token, [this, request = std::move(request), held = std::move(responder)](
                        const base::Result<std::optional<core::Caller>>& found) mutable {
    if (!found) {
      held.respond(problem(found.error(), request.id));
    } else if (*found) {
      let_in(request, **found, std::move(held));
    } else {
      refuse_token(request, std::move(held));
    }
  });
}

void Gate::refuse_token(const http::Request& request, http::Responder responder) {
  const net::Address& peer = request.peer;
  const std::string& request_id = request.id;
  const auto blocked = failed_.blocked_for(peer, clock_.steady());
  if (blocked.count() > 0) {
    responder.respond(too_many_failures(blocked, request_id));
    return;
  }
  const FailedTokens::Noted noted = failed_.note(peer, clock_.steady());
  // Once each, so that whoever tries for hours does not fill the log.
  if (noted.count == 1 || noted.count == FailedTokens::kMost)
    base::log::warning("a token that is not valid was shown",
                       {{"address", peer.ip()}, {"times", std::to_string(noted.count)}});
  if (delayed_ >= kMaxDelayed) {
    responder.respond(wrong_token(request_id));
    return;
  }
  ++delayed_;
  later_(noted.delay, [this, request_id, held = std::move(responder)]() mutable {
    --delayed_;
    held.respond(wrong_token(request_id));
  });
}

}  // namespace sc::api
