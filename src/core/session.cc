#include "core/session.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <iterator>
#include <set>
#include <utility>

#include "base/result.h"
#include "base/text.h"

namespace sc::core {
namespace {

using std::chrono::microseconds;

constexpr std::array<std::string_view, 3> kLogged{"all", "failed", "none"};

// `connection refused (ECONNREFUSED)`
std::string describe(int error) {
  std::string text(base::errno_text(error));
  text.replace(0, 1, base::to_lower(text.substr(0, 1)));
  const std::string_view name = base::errno_name(error);
  return text + " (" + (name.empty() ? std::to_string(error) : std::string(name)) + ")";
}

std::string outcome(const DialAttempt& attempt) {
  const std::string after = " after " + in_words(attempt.took);
  switch (attempt.result) {
    case DialAttempt::Result::connected:
      return "connected" + after;
    case DialAttempt::Result::failed:
      return describe(attempt.error) + after;
    case DialAttempt::Result::denied:
      return "nobody is led there, where the service itself is controlled";
    case DialAttempt::Result::loop:
      return "not dialled, it closes a ring of streams";
    case DialAttempt::Result::abandoned:
      break;
  }
  return "no answer" + after;
}

// `; also tried A: ..., B: ...`, without the attempt at `told`; without that, `; tried`.
std::string others(const std::vector<DialAttempt>& tried, std::size_t told) {
  std::string text;
  const std::string before = told < tried.size() ? "; also tried " : "; tried ";
  for (std::size_t i = 0; i < tried.size(); ++i) {
    if (i == told) continue;
    text += (text.empty() ? before : ", ") + tried[i].address + ": " + outcome(tried[i]);
  }
  return text;
}

// The attempt that tells most: one that was refused by the backend itself, else the last one.
std::size_t most_telling(const std::vector<DialAttempt>& tried, DialAttempt::Result result) {
  std::size_t chosen = tried.size();
  for (std::size_t i = 0; i < tried.size(); ++i) {
    if (tried[i].result != result) continue;
    if (chosen == tried.size() || tried[chosen].error != ECONNREFUSED) chosen = i;
  }
  return chosen;
}

std::string backend_of(const EndedSession& session) {
  return "backend " +
         (session.address.empty() ? base::to_string(session.backend) : session.address);
}

std::string refused(const EndedSession& session) {
  const std::size_t at = most_telling(session.tried, DialAttempt::Result::failed);
  if (at == session.tried.size())
    return backend_of(session) + " could not be dialled" +
           (session.detail.empty() ? "" : ": " + session.detail);
  const DialAttempt& last = session.tried[at];
  const std::string what = last.error == ECONNREFUSED
                               ? " refused the connection (ECONNREFUSED)"
                               : " could not be reached: " + describe(last.error);
  return "backend " + last.address + what + " after " + in_words(last.took) +
         others(session.tried, at);
}

std::string unanswered(const EndedSession& session) {
  const std::string within = " within " + in_words(session.ended_after);
  return backend_of(session) + " did not answer" + within +
         others(session.tried, session.tried.size());
}

std::string broke_off(const EndedSession& session, const std::string& who) {
  if (session.error == 0 || session.error == ECONNRESET || session.error == EPIPE)
    return who + " reset the connection" +
           (session.error != 0 ? " (" + std::string(base::errno_name(session.error)) + ")" : "");
  if (session.error == ETIMEDOUT)
    return who + " fell silent: nothing was acknowledged any more (ETIMEDOUT)";
  return "the connection to " + who + " broke: " + describe(session.error);
}

// `detail` begins with the address or the name that this host could not reach.
std::string lacking(const EndedSession& session) {
  if (session.phase == SessionPhase::relay || session.phase == SessionPhase::close)
    return "this host could not carry the session: " +
           (session.detail.empty() ? describe(session.error) : session.detail) + " after " +
           in_words(session.ended_after);
  std::size_t told = 0;
  while (told < session.tried.size() && session.tried[told].error != session.error) ++told;
  return (session.phase == SessionPhase::resolve
              ? "this host could not look up " + session.backend.host
              : std::string("this host could not dial the backend")) +
         (session.detail.empty() ? "" : ": " + session.detail) +
         (told < session.tried.size() ? others(session.tried, told) : "");
}

std::string why(const EndedSession& session) {
  const std::string age = in_words(session.ended_after);
  switch (session.reason) {
    case EndReason::finished:
      return "both sides ended in order after " + age;
    case EndReason::empty:
      return "the client left without a byte either way after " + age;
    case EndReason::client_reset:
      return broke_off(session, "the client") + " after " + age;
    case EndReason::backend_reset:
      return broke_off(session, backend_of(session)) + " after " + age;
    case EndReason::backend_refused:
      return refused(session);
    case EndReason::backend_timeout:
      return unanswered(session);
    case EndReason::backend_unresolved:
      return "cannot resolve " + session.backend.host +
             (session.detail.empty() ? "" : ": " + session.detail);
    case EndReason::idle_timeout:
      return "no byte moved for as long as idle_timeout allows; ended after " + age;
    case EndReason::lifetime:
      return "it was as old as lifetime allows: " + age;
    case EndReason::denied:
      return backend_of(session) +
             " is where the service itself is controlled, and nobody is led there";
    case EndReason::loop:
      return session.detail.empty() ? "the connection runs into a ring of streams of this service"
                                    : session.detail;
    case EndReason::host:
      return lacking(session);
    case EndReason::limit:
      return "this host had no descriptor or memory left for the way to the backend";
    case EndReason::drained:
      return "its stream or the service was being stopped, and its time to end was over, after " +
             age;
    case EndReason::killed:
      return "an operator ended it after " + age;
    case EndReason::internal:
      break;
  }
  return "a fault of this service" +
         (session.detail.empty() ? std::string() : ": " + session.detail);
}

}  // namespace

std::string_view to_string(DialAttempt::Result result) {
  static constexpr std::array<std::string_view, 5> kNames{"connected", "failed", "denied", "loop",
                                                          "abandoned"};
  return kNames.at(static_cast<std::size_t>(result));
}

std::string_view to_string(LoggedSessions which) {
  return kLogged.at(static_cast<std::size_t>(which));
}

std::optional<LoggedSessions> parse_logged_sessions(std::string_view text) {
  for (std::size_t i = 0; i < kLogged.size(); ++i)
    if (kLogged.at(i) == text) return static_cast<LoggedSessions>(i);
  return std::nullopt;
}

std::string_view to_string(RunningSession::State state) {
  return state == RunningSession::State::dialing ? "dialing" : "relaying";
}

std::string in_words(microseconds duration) {
  const auto us = static_cast<unsigned long long>(std::max<std::int64_t>(duration.count(), 0));
  if (us < 10) return "under 0.01 ms";
  std::array<char, 64> text{};
  const auto in = [us](unsigned long long unit) { return (us + unit / 2) / unit; };
  if (const auto hundredths = in(10); hundredths < 100) {
    std::snprintf(text.data(), text.size(), "0.%02llu ms", hundredths);
  } else if (const auto tenths = in(100); tenths < 100) {
    std::snprintf(text.data(), text.size(), "%llu.%llu ms", tenths / 10, tenths % 10);
  } else if (const auto millis = in(1'000); millis < 1'000) {
    std::snprintf(text.data(), text.size(), "%llu ms", millis);
  } else if (const auto tenths_of_second = in(100'000); tenths_of_second < 600) {
    std::snprintf(text.data(), text.size(), "%llu.%llu s", tenths_of_second / 10,
                  tenths_of_second % 10);
  } else if (const auto seconds = in(1'000'000); seconds < 3'600) {
    std::snprintf(text.data(), text.size(), "%llu min %llu s", seconds / 60, seconds % 60);
  } else {
    const auto minutes = in(60'000'000);
    std::snprintf(text.data(), text.size(), "%llu h %llu min", minutes / 60, minutes % 60);
  }
  return text.data();
}

namespace {

// The largest group gives way; of several, the oldest one.
void trim(Failures& failures) {
  const auto is_less = [](const FailureGroup& one, const FailureGroup& other) {
    if (one.sessions.size() != other.sessions.size())
      return one.sessions.size() < other.sessions.size();
    return one.last > other.last;
  };
  std::set<SessionId> gone;
  for (std::size_t left = failures.sessions.size(); left > kMostFailures; --left) {
    const auto largest = std::max_element(failures.groups.begin(), failures.groups.end(), is_less);
    gone.insert(largest->sessions.back());
    largest->sessions.pop_back();
  }
  std::erase_if(failures.sessions,
                [&gone](const EndedSession& each) { return gone.contains(each.id); });
  std::erase_if(failures.groups, [](const FailureGroup& each) { return each.sessions.empty(); });
}

}  // namespace

void merge(Failures& into, Failures more) {
  for (FailureGroup& group : more.groups) {
    const auto same =
        std::find_if(into.groups.begin(), into.groups.end(), [&group](const FailureGroup& each) {
          return each.reason == group.reason && each.error == group.error &&
                 each.address == group.address;
        });
    if (same == into.groups.end()) {
      into.groups.push_back(std::move(group));
      continue;
    }
    same->count += group.count;
    same->first = std::min(same->first, group.first);
    same->last = std::max(same->last, group.last);
    same->sessions.insert(same->sessions.end(), group.sessions.begin(), group.sessions.end());
  }
  std::stable_sort(
      into.groups.begin(), into.groups.end(),
      [](const FailureGroup& one, const FailureGroup& other) { return one.last > other.last; });
  std::move(more.sessions.begin(), more.sessions.end(), std::back_inserter(into.sessions));
  std::stable_sort(into.sessions.begin(), into.sessions.end(),
                   [](const EndedSession& one, const EndedSession& other) {
                     return one.accepted_at + one.ended_after >
                            other.accepted_at + other.ended_after;
                   });
  trim(into);
}

std::string in_words(const EndedSession& session) {
  std::string text = why(session);
  const bool is_cut = session.reason == EndReason::drained || session.reason == EndReason::killed ||
                      session.reason == EndReason::lifetime;
  if (is_cut && session.address.empty())  // whoever ended it, the backend had not answered yet
    text += others(session.tried, session.tried.size());
  if (!session.address.empty() && is_failure(session.reason))
    text += "; " + std::to_string(session.bytes_in) + " bytes went in and " +
            std::to_string(session.bytes_out) + " came out";
  return text;
}

}  // namespace sc::core
