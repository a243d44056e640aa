#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>

#include "api/auth.h"
#include "api/failed_tokens.h"
#include "api/refusal_log.h"
#include "api/token_book.h"
#include "base/callback.h"
#include "base/clock.h"
#include "core/caller.h"
#include "http/message.h"
#include "http/responder.h"

namespace sc::api {

// Every request comes through here before it is routed, whatever its path and method: what a web
// page sends is refused, a token is looked up, and who shows none is judged by where it asks from.
// What is refused ends here. Refused changes are logged, also those that are refused later, for
// their caller's role or ports. Control thread only.
class Gate {
 public:
  using Next = std::function<void(const http::Request&, const core::Caller&, http::Responder)>;
  // Calls the function once, so much later; not at all when it is destroyed first.
  using Later = std::function<void(std::chrono::milliseconds, base::Callback<void()>)>;

  // Answers to wrong tokens that are held back at a time; more go out at once, so that they cannot
  // hold all places of the API.
  static constexpr std::size_t kMaxDelayed = 64;

  Gate(AuthOptions options, const base::Clock& clock, TokenBook& book, Later later, Next next);
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  // A server's Handler. Goes on to `next` from inside, unless the store has to be asked.
  void admit(http::Request request, http::Responder responder);

 private:
  void look_up(const std::string& token, http::Request request, http::Responder responder);
  void log_if_refused(const http::Request& request, std::string principal,
                      http::Responder& responder);
  void let_in(const http::Request& request, const core::Caller& caller, http::Responder responder);
  void refuse_token(const http::Request& request, http::Responder responder);

  const AuthOptions options_;
  const base::Clock& clock_;
  TokenBook& book_;
  const Later later_;
  const Next next_;
  FailedTokens failed_;
  RefusalLog refusals_;
  std::size_t delayed_ = 0;
};

}  // namespace sc::api
