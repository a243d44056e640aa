#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "api/json_writer.h"
#include "core/session.h"
#include "core/stream.h"

namespace sc::api {

// The fields of a session, into an object that is open.

void append_session_fields(JsonWriter& out, const core::RunningSession& session);
void append_session_fields(JsonWriter& out, const core::EndedSession& session);
// The member `resolution`; null: the backend is an IP literal.
void append_resolution(JsonWriter& out, const std::optional<core::Resolution>& resolution);

// What the API answers of sessions, as JSON texts.

// `cursor`: of the next page; empty: this is the last one. `silent`: threads that did not answer,
// whose sessions are missing.
std::string session_list_json(std::span<const core::RunningSession> sessions,
                              const std::string& cursor, std::span<const std::string> silent);
std::string session_json(const core::SessionDetails& details);
std::string ended_session_json(const core::EndedSession& session);
std::string failures_json(std::uint16_t port, const core::Failures& failures);
std::string check_json(const core::StreamSpec& spec, const core::CheckReport& report);

}  // namespace sc::api
