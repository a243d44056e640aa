#pragma once

#include <chrono>
#include <optional>
#include <string_view>

namespace sc::config {

// Reads a time of nginx (ngx_parse_time): `90`, `90s`, `1h30m`, `1h 30m`, `250ms`. Units stand from
// the largest to the smallest; a number without a unit counts seconds. Times above 10,000 years
// become that. nullopt: not a time. Pure.
std::optional<std::chrono::milliseconds> parse_nginx_time(std::string_view text);

}  // namespace sc::config
