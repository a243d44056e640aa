#include "store/sqlite_uri.h"

#include <filesystem>
#include <string_view>

namespace sc::store {

std::string to_uri(const std::string& file) {
  static constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string uri = "file:";
  for (const char c : std::filesystem::absolute(file).string()) {
    if (c != '?' && c != '#' && c != '%') {
      uri += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    uri += {'%', kHex.at(byte >> 4U), kHex.at(byte & 15U)};
  }
  return uri;
}

}  // namespace sc::store
