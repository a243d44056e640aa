#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/problem.h"
#include "base/clock.h"
#include "core/stream.h"

// What the API is sent, read into values. malformed_json: no JSON. invalid_field: all that is wrong
// with the fields' names and types, each with its JSON pointer and what is allowed; whether a
// stream may be so is core::validate's to say. `now` is what a `ttl` counts from.
namespace sc::api {

// A whole stream; fields that are left out, or null, have their default. What a stream tells of
// itself (state, counters ...) may stand there and is not looked at, so that what GET answered can
// be edited and sent back. `port`: of the path, which the body may repeat. Without it the body may
// give one; else the spec's port is 0.
Outcome<core::StreamSpec> read_stream(std::string_view body, std::optional<std::uint16_t> port,
                                      const base::Moment& now);

// RFC 7396: fields that are left out stay, null means the default. Only what can be changed.
Outcome<core::StreamPatch> read_patch(std::string_view body, std::uint16_t port,
                                      const base::Moment& now);

// `{"streams": [...]}`, each one with its port, none twice.
Outcome<std::vector<core::StreamSpec>> read_stream_list(std::string_view body,
                                                        const base::Moment& now);

// `{"timeout": "30s"}` of a drain; nothing, where it is left out or null: as the service is set.
Outcome<std::optional<std::chrono::milliseconds>> read_drain(std::string_view body);

}  // namespace sc::api
