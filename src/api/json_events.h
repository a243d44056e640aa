#pragma once

#include <cstdint>
#include <string>

#include "core/event.h"
#include "core/session.h"

// Server-sent events (the HTML standard, section 9.2), each whole. Only what is in history has an
// id: it is where a client goes on that comes again.
namespace sc::api {

// So soon a browser comes again when the stream has ended.
std::string retry_text();
// Nothing but where history stands, for a client to come again with.
std::string place_text(std::int64_t id);
// A comment, for who else would hear nothing for long.
std::string heartbeat_text();

std::string event_text(const core::RecordedEvent& event);
std::string failure_text(const core::EndedSession& session);
std::string session_text(const core::SessionNote& note);
// Notes of sessions that came too fast for them all to be remembered.
std::string missed_notes_text(std::uint64_t count);
// The client may have missed events: its id is not of this history, or events behind it were
// deleted because they were old.
std::string missed_history_text();

}  // namespace sc::api
