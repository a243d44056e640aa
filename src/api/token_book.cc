#include "api/token_book.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/digest.h"
#include "base/log.h"

namespace sc::api {
namespace {

base::Error cannot_be_checked() {
  return {base::Errc::unavailable, "tokens cannot be checked now, as the database does not answer"};
}

}  // namespace

void TokenBook::find(std::string_view secret, OnFound on_found) {
  std::string sha256 = base::sha256_hex(secret);
  const core::Token* in_file = find_usable(file_tokens_, sha256);
  const core::Token* stored = find_usable(tokens_, sha256);
  if (in_file != nullptr) {
    on_found(std::optional(core::to_caller(*in_file)));
    return;
  }
  const bool is_fresh = fresh_at_ && clock_.steady() - *fresh_at_ <= kTrusted;
  if (stored != nullptr && is_fresh) {
    note_use(*stored);
    on_found(std::optional(core::to_caller(*stored)));
    return;
  }
  wait(std::move(sha256), std::move(on_found));
}

void TokenBook::find_again(const std::string& sha256, OnFound on_found) {
  if (const core::Token* in_file = find_usable(file_tokens_, sha256)) {
    on_found(std::optional(core::to_caller(*in_file)));
    return;
  }
  wait(sha256, std::move(on_found));
}

void TokenBook::wait(std::string sha256, OnFound on_found) {
  if (is_slow()) {
    const core::Token* stored = find_usable(tokens_, sha256);
    if (stored != nullptr && may_use_memory()) {
      on_found(std::optional(core::to_caller(*stored)));
      return;
    }
    if (waiting_.size() >= kMostWaiting) {
      on_found(cannot_be_checked());
      return;
    }
  }
  waiting_.push_back({std::move(sha256), std::move(on_found)});
  if (!asked_at_) ask();
}

bool TokenBook::is_slow() const { return asked_at_ && clock_.steady() - *asked_at_ >= kAnswer; }

bool TokenBook::may_use_memory() const {
  return fresh_at_ && clock_.steady() - *fresh_at_ <= kMostStale;
}

// The store takes its time. Unknown secrets go on waiting for it.
void TokenBook::answer_from_memory() {
  if (!is_slow() || !may_use_memory()) return;
  std::vector<Waiting> known;
  for (std::vector<Waiting>* each : {&asked_, &waiting_}) {
    const auto unknown = std::stable_partition(
        each->begin(), each->end(),
        [this](const Waiting& waiting) { return find_usable(tokens_, waiting.sha256) == nullptr; });
    std::move(unknown, each->end(), std::back_inserter(known));
    each->erase(unknown, each->end());
  }
  for (Waiting& each : known) answer(std::move(each), std::nullopt);
}

// All are compared, each in the same time, so that the time says nothing about any of them.
const core::Token* TokenBook::find_usable(const std::vector<core::Token>& among,
                                          const std::string& sha256) const {
  const base::WallTime now = clock_.wall();
  const core::Token* found = nullptr;
  for (const core::Token& token : among) {
    const bool is_same = base::equal_in_constant_time(token.sha256, sha256);
    if (is_same && core::state_of(token, now) == core::TokenState::active) found = &token;
  }
  return found;
}

void TokenBook::ask() {
  asked_at_ = clock_.steady();
  asked_ = std::exchange(waiting_, {});
  store_.load_tokens(version_, [this](auto answer) { on_tokens(std::move(answer)); });
  if (later_) later_(kAnswer, [this] { answer_from_memory(); });
}

void TokenBook::on_tokens(base::Result<std::optional<core::TokenSnapshot>> answer) {
  std::optional<base::Error> failure;
  if (!answer) {
    failure = answer.error();
    base::log::error("tokens cannot be checked", {{"reason", failure->message}});
  } else {
    fresh_at_ = asked_at_;
    if (*answer) {
      version_ = (*answer)->version;
      tokens_ = std::move((*answer)->tokens);
      std::erase_if(noted_, [&](const auto& noted) {
        return std::none_of(tokens_.begin(), tokens_.end(),
                            [&](const core::Token& token) { return token.sha256 == noted.first; });
      });
    }
  }
  asked_at_.reset();
  std::vector<Waiting> answered = std::exchange(asked_, {});
  if (!waiting_.empty()) ask();
  for (Waiting& each : answered) this->answer(std::move(each), failure);
}

void TokenBook::answer(Waiting waiting, const std::optional<base::Error>& failure) {
  const core::Token* token = find_usable(tokens_, waiting.sha256);
  if (failure && (token == nullptr || !may_use_memory())) {
    waiting.on_found(cannot_be_checked());
    return;
  }
  if (token == nullptr) {
    waiting.on_found(std::optional<core::Caller>());
    return;
  }
  note_use(*token);
  waiting.on_found(std::optional(core::to_caller(*token)));
}

void TokenBook::note_use(const core::Token& token) {
  const base::Instant now = clock_.steady();
  const auto [noted, is_first] = noted_.try_emplace(token.sha256, now);
  if (!is_first && now - noted->second < kNoted) return;
  noted->second = now;
  store_.note_token_use(token.sha256, clock_.wall());
}

}  // namespace sc::api
