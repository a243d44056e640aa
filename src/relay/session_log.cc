#include "relay/session_log.h"

#include <array>
#include <cstdio>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/result.h"

namespace sc::relay {
namespace {

using std::chrono::microseconds;

constexpr std::chrono::milliseconds kSecond{1000};

// What an operator has to look into. Clients come and go as they like, and what a setting or a
// person asked for is no trouble.
bool is_trouble(core::EndReason reason) {
  const core::Fault fault = core::fault_of(reason);
  return fault == core::Fault::backend || fault == core::Fault::service;
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
  if (const std::string_view error = base::errno_name(session.error); !error.empty())
    fields.push_back({"error", std::string(error)});
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

SessionLog::Share& SessionLog::share_of(const SessionEnd& end) {
  if (!core::is_failure(end.reason)) return finished_;
  return is_trouble(end.reason) ? trouble_ : others_;
}

void SessionLog::ended(const SessionEnd& end) {
  const base::log::Level level =
      is_trouble(end.reason) ? base::log::Level::warning : base::log::Level::info;
  if (!base::log::enabled(level)) return;
  if (loop_.now() - second_began_at_ >= kSecond) {
    second_began_at_ = loop_.now();
    trouble_.lines = others_.lines = finished_.lines = 0;
  }
  Share& share = share_of(end);
  if (share.lines < kMostPerSecond) {
    ++share.lines;
    const auto fields = to_fields(to_told(end));
    if (base::log::try_write(level, "session ended", std::span(fields))) return;
  }
  if (trouble_.left_out + others_.left_out + finished_.left_out == 0) flush_due_.start(kSecond);
  ++share.left_out;
}

void SessionLog::flush() {
  flush_due_.stop();
  const std::size_t failed = trouble_.left_out + others_.left_out;
  const std::size_t count = failed + finished_.left_out;
  if (count == 0) return;
  const bool is_told = base::log::try_write(
      trouble_.left_out > 0 ? base::log::Level::warning : base::log::Level::info,
      "sessions ended without a line each, as they were too many",
      {{"sessions", std::to_string(count)},
       {"failed", std::to_string(failed)},
       {"finished", std::to_string(finished_.left_out)}});
  if (!is_told) return flush_due_.start(kSecond);
  trouble_.left_out = others_.left_out = finished_.left_out = 0;
}

}  // namespace sc::relay
