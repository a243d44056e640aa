#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

// libcrypto's, as texts. Any thread.
namespace sc::base {

// 64 lower-case hexadecimal digits; `?`, which equals no recorded one, where libcrypto fails.
std::string sha256_hex(std::string_view text);
bool is_sha256_hex(std::string_view text);

// `bytes` of the kernel's randomness, twice as many hexadecimal digits. Nothing: there is none.
std::optional<std::string> random_hex(std::size_t bytes);

// Takes as long for texts that differ early as for those that differ late. Of texts of different
// lengths the time says that they are.
bool equal_in_constant_time(std::string_view a, std::string_view b);

}  // namespace sc::base
