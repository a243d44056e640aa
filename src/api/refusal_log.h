#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "base/callback.h"
#include "base/clock.h"

namespace sc::api {

// A change that was refused, and the caller that asked for it.
struct Refusal {
  std::string principal;  // `token ci`, `uid 1000 (curl)`; kNoPrincipal without a valid token
  std::string address;    // without its port
  std::string host;       // which addresses count as one host: http::host_key()
  std::string method;
  std::string path;
  std::string request_id;
  int status = 0;
  std::string problem;  // the name of its type, `forbidden`
};
inline constexpr std::string_view kNoPrincipal = "none";

// Logs refused changes. The first one of a principal at a host has a line at once. Those that
// follow within kEvery share one line at its end, which has their number. So each refusal is in a
// line or, where the lines are too many, in a number of suppressed ones. Callers that no token or
// socket names have lines of their own number: they cannot use up those of the others, and one host
// cannot use up those of all. Writes what is left when destroyed. Control thread only.
class RefusalLog {
 public:
  // Calls the function once, so much later; not at all when it is destroyed first.
  using Later = std::function<void(std::chrono::milliseconds, base::Callback<void()>)>;

  static constexpr std::chrono::seconds kEvery{10};
  // First lines within kEvery: of callers with a principal, and as many of those without.
  static constexpr std::size_t kMostLines = 20;
  static constexpr std::size_t kMostOfHost = 5;  // of these, of one host

  RefusalLog(const base::Clock& clock, Later later) : clock_(clock), later_(std::move(later)) {}
  RefusalLog(const RefusalLog&) = delete;
  RefusalLog& operator=(const RefusalLog&) = delete;
  ~RefusalLog() { write_rest(); }

  void note(const Refusal& refusal);

 private:
  struct Entry {
    Refusal last;
    std::uint64_t unlogged = 0;
  };
  struct Kind {
    // By host and principal: those with a line since the last kEvery began.
    std::map<std::pair<std::string, std::string>, Entry> entries;
    std::size_t lines = 0;         // within this kEvery
    std::uint64_t suppressed = 0;  // within this kEvery
  };
  static std::size_t entries_of(const Kind& kind, const std::string& host);
  void start_waiting();
  void on_due();
  void write_rest();
  static void write_rest(Kind& kind);

  const base::Clock& clock_;
  const Later later_;
  base::Instant due_{};  // when this kEvery ends
  bool is_waiting_ = false;
  std::array<Kind, 2> kinds_;  // with a principal, and without
};

}  // namespace sc::api
