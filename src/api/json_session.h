#pragma once

#include "api/json_writer.h"
#include "core/session.h"

// The fields of a session, into an object that is open.
namespace sc::api {

void append_session_fields(JsonWriter& out, const core::RunningSession& session);
void append_session_fields(JsonWriter& out, const core::EndedSession& session);

}  // namespace sc::api
