#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/problem.h"
#include "base/clock.h"
#include "core/stream.h"

// What the API is sent, read into values. malformed_json: no JSON. invalid_field: all that is wrong
// with the fields' names and types, each with its JSON pointer and what is allowed. The conductor
// judges their values. `check` asks it for a body that is wrong already, so that one answer names
// all wrong fields. `now` is what a `ttl` counts from.
namespace sc::api {

// The fields that are wrong themselves have their defaults, or what the stream has. Empty: not
// asked.
using CheckSpec = std::function<base::Result<void>(const core::StreamSpec&)>;
using CheckPatch = std::function<base::Result<void>(const core::StreamPatch&)>;

// A whole stream; fields that are left out, or null, have their default. What a stream tells of
// itself (state, counters ...) may stand there and is not looked at, so that what GET answered can
// be edited and sent back. `port`: of the path, which the body may repeat. Without it the body may
// give one; else the spec's port is 0.
Outcome<core::StreamSpec> read_stream(std::string_view body, std::optional<std::uint16_t> port,
                                      const base::Moment& now, const CheckSpec& check = {});

// RFC 7396: fields that are left out stay, null means the default. Only what can be changed.
Outcome<core::StreamPatch> read_patch(std::string_view body, std::uint16_t port,
                                      const base::Moment& now, const CheckPatch& check = {});

// `{"streams": [...]}`, each one with its port, none twice.
Outcome<std::vector<core::StreamSpec>> read_stream_list(std::string_view body,
                                                        const base::Moment& now,
                                                        const CheckSpec& check = {});

// `{"timeout": "30s"}` of a drain; nothing, where it is left out or null: as the service is set.
Outcome<std::optional<std::chrono::milliseconds>> read_drain(std::string_view body);

}  // namespace sc::api
