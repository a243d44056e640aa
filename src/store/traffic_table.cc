#include "store/traffic_table.h"

#include <SQLiteCpp/Database.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <limits>
#include <string>

#include "base/clock.h"
#include "base/text.h"
#include "core/end_reason.h"
#include "store/columns.h"

namespace sc::store {
namespace {

constexpr int kFirstReason = 9;  // places, from 1 on

// The columns, one for each reason at the end; `prefix` before each.
std::string columns(const std::string& prefix) {
  std::string out = prefix + "port";
  for (const char* name :
       {"since", "saved_at", "boot_id", "monotonic_ms", "sessions", "bytes_in", "bytes_out"})
    out.append(", ").append(prefix).append(name);
  for (std::size_t i = 0; i < core::kEndReasons; ++i)  // quoted, as `limit` is a word of SQL's
    out.append(", ")
        .append(prefix)
        .append("\"")
        .append(core::to_string(static_cast<core::EndReason>(i)))
        .append("\"");
  return out;
}

std::string places() {
  std::string out = "?1";
  for (std::size_t i = 2; i < kFirstReason + core::kEndReasons; ++i)
    out.append(", ?").append(std::to_string(i));
  return out;
}

constexpr int kCreatedAt = kFirstReason + static_cast<int>(core::kEndReasons);
std::string created_at() { return "?" + std::to_string(kCreatedAt); }

}  // namespace

// An upsert of what the stream at the port now may have carried.
TrafficTable::TrafficTable(SQLite::Database& connection)
    : save_(connection, "INSERT OR REPLACE INTO traffic (" + columns("") + ") SELECT " + places() +
                            " WHERE EXISTS (SELECT 1 FROM streams"
                            " WHERE port = ?1 AND created_at = " +
                            created_at() + ")"),
      select_(connection, "SELECT " + columns("t.") +
                              " FROM traffic AS t JOIN streams AS s ON s.port = t.port"
                              " AND s.created_at <= t.since") {}

void TrafficTable::save(const core::SaveTraffic& save) {
  const core::StoredTraffic& stored = save.stored;
  const auto number = [this](int place, std::uint64_t count) {
    // Somebody may have written more by hand than can be counted on: one row must not keep others
    // from being saved.
    constexpr std::uint64_t kMost = std::numeric_limits<std::int64_t>::max();
    save_.bind(place, static_cast<std::int64_t>(std::min(count, kMost)));
  };
  const Use use(save_);
  save_.bind(1, static_cast<int>(save.port));
  save_.bind(2, base::to_iso8601(stored.since));
  save_.bind(3, base::to_iso8601(stored.saved_at));
  save_.bind(4, stored.saved_on.boot_id);
  save_.bind(5, static_cast<std::int64_t>(stored.saved_on.monotonic.count()));
  number(6, stored.traffic.sessions_total);
  number(7, stored.traffic.bytes_in);
  number(8, stored.traffic.bytes_out);
  int place = kFirstReason;
  for (const std::uint64_t count : stored.traffic.ended) number(place++, count);
  save_.bind(kCreatedAt, base::to_iso8601(save.created_at));
  save_.exec();
}

std::map<std::uint16_t, core::StoredTraffic> TrafficTable::read() {
  std::map<std::uint16_t, core::StoredTraffic> out;
  const Use use(select_);
  const auto number = [this](int place) {
    return static_cast<std::uint64_t>(
        std::max<std::int64_t>(select_.getColumn(place - 1).getInt64(), 0));
  };
  while (select_.executeStep()) {
    const auto port = base::parse_port(select_.getColumn(0).getString());
    const auto since = base::parse_iso8601(select_.getColumn(1).getString());
    const auto saved_at = base::parse_iso8601(select_.getColumn(2).getString());
    if (!port || !since || !saved_at) continue;  // no service wrote it
    core::StoredTraffic& stored = out[*port];
    stored.since = *since;
    stored.saved_at = *saved_at;
    stored.saved_on.boot_id = select_.getColumn(3).getString();
    stored.saved_on.monotonic = std::chrono::milliseconds(select_.getColumn(4).getInt64());
    stored.traffic.sessions_total = number(6);
    stored.traffic.bytes_in = number(7);
    stored.traffic.bytes_out = number(8);
    int place = kFirstReason;
    for (std::uint64_t& count : stored.traffic.ended) count = number(place++);
  }
  return out;
}

}  // namespace sc::store
