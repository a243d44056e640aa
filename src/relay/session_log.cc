#include "relay/session_log.h"

#include <array>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "base/log.h"

namespace sc::relay {
namespace {

using std::chrono::microseconds;

constexpr std::chrono::milliseconds kSecond{1000};

// What an operator has to look into. Clients come and go as they like, and what a setting or a
// person asked for is no trouble.
base::log::Level level_of(core::Fault fault) {
  const bool is_trouble = fault == core::Fault::backend || fault == core::Fault::service;
  return is_trouble ? base::log::Level::warning : base::log::Level::info;
}

std::string in_ms(microseconds time) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%lld.%03lld",
                static_cast<long long>(time.count() / 1000),
                static_cast<long long>(time.count() % 1000));
  return text.data();
}

// README promises these names. What is not known of a session is left out.
std::vector<base::log::Field> to_fields(const core::EndedSession& session) {
  std::vector<base::log::Field> fields{{"session", std::to_string(session.id)},
                                       {"port", std::to_string(session.port)},
                                       {"client", session.client}};
  const auto add_time = [&](std::string_view key, const std::optional<microseconds>& time) {
    if (time) fields.push_back({key, in_ms(*time)});
  };
  if (!session.backend.host.empty())
    fields.push_back({"backend", base::to_string(session.backend)});
  if (!session.address.empty()) fields.push_back({"address", session.address});
  fields.push_back({"reason", std::string(core::to_string(session.reason))});
  fields.push_back({"fault", std::string(core::to_string(core::fault_of(session.reason)))});
  fields.push_back({"phase", std::string(core::to_string(session.phase))});
  const char* const error = session.error != 0 ? ::strerrorname_np(session.error) : nullptr;
  if (error != nullptr) fields.push_back({"error", error});
  fields.push_back({"bytes_in", std::to_string(session.bytes_in)});
  fields.push_back({"bytes_out", std::to_string(session.bytes_out)});
  add_time("connect_ms", session.connected_after);
  add_time("first_byte_ms", session.first_byte_after);
  add_time("duration_ms", session.ended_after);
  fields.push_back({"message", core::in_words(session)});
  return fields;
}

}  // namespace

SessionLog::SessionLog(loop::Loop& loop) : loop_(loop), flush_due_(loop, [this] { flush(); }) {}

void SessionLog::ended(const SessionEnd& end) {
  const base::log::Level level = level_of(core::fault_of(end.reason));
  if (!base::log::enabled(level)) return;
  if (loop_.now() - second_began_at_ >= kSecond) {
    second_began_at_ = loop_.now();
    failed_.lines = finished_.lines = 0;
  }
  Share& share = end.reason == core::EndReason::finished ? finished_ : failed_;
  if (share.lines < kMostPerSecond) {
    ++share.lines;
    const auto fields = to_fields(to_told(end));
    if (base::log::try_write(level, "session ended", std::span(fields))) return;
  }
  if (failed_.left_out + finished_.left_out == 0) flush_due_.start(kSecond);
  ++share.left_out;
}

void SessionLog::flush() {
  flush_due_.stop();
  const std::size_t count = failed_.left_out + finished_.left_out;
  if (count == 0) return;
  const bool is_trouble = failed_.left_out > 0;
  const bool is_told =
      base::log::try_write(is_trouble ? base::log::Level::warning : base::log::Level::info,
                           "sessions ended without a line each, as they were too many",
                           {{"sessions", std::to_string(count)},
                            {"failed", std::to_string(failed_.left_out)},
                            {"finished", std::to_string(finished_.left_out)}});
  if (!is_told) return flush_due_.start(kSecond);
  failed_.left_out = finished_.left_out = 0;
}

}  // namespace sc::relay
