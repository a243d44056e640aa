#include "core/ring.h"

#include <algorithm>
#include <set>

namespace sc::core {
namespace {

// The stream whose listener takes the connections of this one; nullptr: none.
const StreamSpec* next_of(const StreamSpec& spec, const FindSpec& find, const DataPlane& plane) {
  const StreamSpec* next = find(spec.backend.port);
  return next != nullptr && next->enabled && plane.takes(*next, spec.backend) ? next : nullptr;
}

}  // namespace

std::string to_string(const Ring& ring) {
  std::string text;
  for (const std::uint16_t port : ring)
    text.append(text.empty() ? "" : " -> ").append(std::to_string(port));
  return text;
}

Ring ring_of(const StreamSpec& spec, const FindSpec& find, const DataPlane& plane) {
  if (!spec.enabled) return {};
  // The stream itself as it shall be, not as it is.
  const FindSpec found = [&](std::uint16_t port) { return port == spec.port ? &spec : find(port); };
  Ring ring{spec.port};
  std::set<std::uint16_t> passed;
  for (const StreamSpec* at = next_of(spec, found, plane); at != nullptr;
       at = next_of(*at, found, plane)) {
    ring.push_back(at->port);
    if (at->port == spec.port) return ring;
    if (!passed.insert(at->port).second) return {};  // a ring without this stream
  }
  return {};
}

// Each stream forwards to at most one other, so a walk from every stream that no walk has passed
// finds each ring once.
std::vector<Ring> rings_of(const StreamMap& streams, const DataPlane& plane) {
  const FindSpec find = [&](std::uint16_t port) {
    const auto found = streams.find(port);
    return found == streams.end() ? nullptr : &found->second.spec;
  };
  std::vector<Ring> rings;
  std::set<std::uint16_t> passed;
  for (const auto& [port, stream] : streams) {
    Ring walk;
    const StreamSpec* at = stream.spec.enabled ? &stream.spec : nullptr;
    for (; at != nullptr && passed.insert(at->port).second; at = next_of(*at, find, plane))
      walk.push_back(at->port);
    if (at == nullptr) continue;
    const auto first = std::find(walk.begin(), walk.end(), at->port);
    if (first == walk.end()) continue;  // it was reached by another walk
    rings.emplace_back(first, walk.end());
    rings.back().push_back(at->port);
  }
  return rings;
}

}  // namespace sc::core
