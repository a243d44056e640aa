#include "api/refusal_log.h"

#include <algorithm>

#include "base/log.h"

namespace sc::api {
namespace {

constexpr std::size_t kLongestPath = 200;

void write(const Refusal& refusal, std::uint64_t times) {
  base::log::warning("change refused", {{"principal", refusal.principal},
                                        {"address", refusal.address},
                                        {"method", refusal.method},
                                        {"path", refusal.path.substr(0, kLongestPath)},
                                        {"status", std::to_string(refusal.status)},
                                        {"type", refusal.problem},
                                        {"request_id", refusal.request_id},
                                        {"times", std::to_string(times)}});
}

}  // namespace

void RefusalLog::note(const Refusal& refusal) {
  Kind& kind = kinds_[refusal.principal == kNoPrincipal ? 1 : 0];
  if (!is_waiting_) start_waiting();
  const auto key = std::pair(refusal.host, refusal.principal);
  if (const auto found = kind.entries.find(key); found != kind.entries.end()) {
    found->second.last = refusal;
    ++found->second.unlogged;
  } else if (kind.lines >= kMostLines || entries_of(kind, refusal.host) >= kMostOfHost) {
    ++kind.suppressed;
  } else {
    ++kind.lines;
    kind.entries.emplace(key, Entry{});
    write(refusal, 1);
  }
}

std::size_t RefusalLog::entries_of(const Kind& kind, const std::string& host) {
  return static_cast<std::size_t>(
      std::count_if(kind.entries.begin(), kind.entries.end(),
                    [&](const auto& each) { return each.first.first == host; }));
}

void RefusalLog::start_waiting() {
  is_waiting_ = true;
  due_ = clock_.steady() + kEvery;
  later_(kEvery, [this] { on_due(); });
}

void RefusalLog::on_due() {
  if (const auto left = due_ - clock_.steady(); left.count() > 0)
    return later_(std::chrono::ceil<std::chrono::milliseconds>(left), [this] { on_due(); });
  is_waiting_ = false;
  write_rest();
  if (std::any_of(kinds_.begin(), kinds_.end(),
                  [](const Kind& kind) { return !kind.entries.empty(); }))
    start_waiting();
}

void RefusalLog::write_rest() {
  for (Kind& kind : kinds_) write_rest(kind);
}

// A caller that goes on has its next line after another kEvery; one that was silent is forgotten.
// No more than kMostLines stay, so that the entries are bounded.
void RefusalLog::write_rest(Kind& kind) {
  std::size_t kept = 0;
  for (auto each = kind.entries.begin(); each != kind.entries.end();) {
    const std::uint64_t times = std::exchange(each->second.unlogged, 0);
    if (times > 0) write(each->second.last, times);
    const bool stays = times > 0 && kept++ < kMostLines;
    each = stays ? std::next(each) : kind.entries.erase(each);
  }
  if (kind.suppressed > 0)
    base::log::warning("limit of lines on refused changes reached, lines suppressed",
                       {{"count", std::to_string(std::exchange(kind.suppressed, 0))}});
  kind.lines = 0;
}

}  // namespace sc::api
