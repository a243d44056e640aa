#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "api/service_facts.h"
#include "core/apply.h"
#include "core/conductor.h"
#include "core/event.h"
#include "core/port_range.h"
#include "core/session.h"
#include "core/stream.h"

// What the API answers, as JSON texts. Where nothing is set stands null.
namespace sc::api {

using View = core::StreamView;

std::string stream_json(const View& view);
// With what is known of the backend's name.
std::string stream_detail_json(const View& view, const std::optional<core::Resolution>& resolution);

// `cursor`: of the next page; empty: this is the last one.
std::string stream_list_json(std::span<const View> views, const std::string& cursor);
// Of another time: nobody counted then what can be told now.
std::string past_stream_list_json(std::span<const core::Stream> streams, const std::string& cursor);

std::string apply_report_json(const core::ApplyReport& report, bool dry_run, bool with_skipped);

std::string history_json(const core::HistoryPage& page, const std::string& cursor);
std::string event_json(const core::RecordedEvent& event);

std::string status_json(const ServiceFacts& facts, const core::PortRanges& ranges,
                        const core::StreamSummary& summary);
std::string drain_json(const ServiceFacts& facts);
std::string healthy_json();

// A problem that names the streams that should listen and do not, and the service's conditions.
std::string not_ready_json(const std::string& why, std::span<const core::Stream> streams,
                           std::span<const core::Condition> conditions,
                           const std::string& request_id);

}  // namespace sc::api
