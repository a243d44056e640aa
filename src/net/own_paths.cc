#include "net/own_paths.h"

#include <netinet/in.h>

#include <algorithm>
#include <functional>
#include <string_view>
#include <utility>

namespace sc::net {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

bool is_v4(const Address& address) {
  if (address.family() != AF_INET6) return true;
  return IN6_IS_ADDR_V4MAPPED(&reinterpret_cast<const sockaddr_in6*>(address.raw())->sin6_addr);
}

// connect(2) replaces a wildcard address by loopback.
PackedAddress as_dialled(const Address& to) {
  if (!to.is_wildcard()) return PackedAddress(to);
  return PackedAddress(*Address::parse_ip(is_v4(to) ? "127.0.0.1" : "::1", to.port()));
}

std::uint32_t scope_of(const Address& address) {
  if (address.family() != AF_INET6) return 0;
  return reinterpret_cast<const sockaddr_in6*>(address.raw())->sin6_scope_id;
}

}  // namespace

std::string to_string(const StreamPath& path) {
  std::string text;
  for (const std::uint16_t port : path)
    text.append(text.empty() ? "" : " -> ").append(std::to_string(port));
  return text;
}

std::string describe_ring(const StreamPath& path) {
  const bool is_ring =
      !path.empty() && std::find(path.begin(), path.end() - 1, path.back()) != path.end() - 1;
  return (is_ring ? "the connection runs into a ring of streams: "
                  : "the connection passes more than " + std::to_string(OwnPaths::kMostStreams) +
                        " streams of this service: ") +
         to_string(path);
}

void OwnDial::set_ring(const std::string& ring) {
  const std::lock_guard lock(mutex_);
  ring_ = ring;
}

std::string OwnDial::ring() const {
  const std::lock_guard lock(mutex_);
  return ring_;
}

bool OwnDial::closes_ring_at(std::uint16_t stream) const {
  return path_.size() >= OwnPaths::kMostStreams ||
         std::find(path_.begin(), path_.end(), stream) != path_.end();
}

bool DialOrigin::has_passed(std::uint16_t stream) const {
  if (stream == port) return true;
  return via && std::find(via->path().begin(), via->path().end(), stream) != via->path().end();
}

StreamPath DialOrigin::path() const {
  StreamPath path = via ? via->path() : StreamPath();
  path.push_back(port);
  return path;
}

OwnPaths::Announced::Announced(OwnPaths* paths, std::shared_ptr<OwnDial> dial)
    : paths_(paths), dial_(std::move(dial)) {}

OwnPaths::Announced::Announced(Announced&& other) noexcept
    : paths_(std::exchange(other.paths_, nullptr)), dial_(std::move(other.dial_)) {}

OwnPaths::Announced& OwnPaths::Announced::operator=(Announced&& other) noexcept {
  if (this == &other) return *this;
  end();
  paths_ = std::exchange(other.paths_, nullptr);
  dial_ = std::move(other.dial_);
  return *this;
}

void OwnPaths::Announced::end() {
  if (paths_ == nullptr) return;
  Shard& shard = std::exchange(paths_, nullptr)->shard_of(dial_->to().address().port());
  const std::lock_guard lock(shard.mutex);
  const auto [first, last] = shard.by_source.equal_range(dial_->from());
  const auto found =
      std::find_if(first, last, [&](const auto& each) { return each.second == dial_; });
  if (found == last) return;
  shard.by_source.erase(found);
  shard.used.fetch_sub(1);
}

// Counted before connect(2), so that a worker that accepts the connection sees it.
OwnPaths::Dialing::Dialing(OwnPaths& paths, const Address& to)
    : paths_(paths), to_(to), lock_(paths.shard_of(to.port()).mutex) {
  paths_.shard_of(to.port()).used.fetch_add(1);
}

OwnPaths::Dialing::~Dialing() {
  if (lock_) paths_.shard_of(to_.port()).used.fetch_sub(1);
}

// A reset frees the source port in the kernel, often before the dialling end has seen the reset and
// has ended its announcement. If the connection was never accepted, an entry with the same two
// addresses is then stale. Without its removal, the accepting end would mark the ring on it.
OwnPaths::Announced OwnPaths::Dialing::announce(const DialOrigin& origin, int socket) {
  Shard& shard = paths_.shard_of(to_.port());
  auto dial = std::make_shared<OwnDial>(origin, to_, local_address(socket));
  const auto [first, last] = shard.by_source.equal_range(dial->from());
  const auto stale = std::find_if(first, last, [&](const auto& each) {
    return as_dialled(each.second->to().address()) == as_dialled(to_);
  });
  if (stale != last) {
    stale->second = dial;
    shard.used.fetch_sub(1);
  } else {
    shard.by_source.emplace(dial->from(), dial);
  }
  lock_.unlock();
  return {&paths_, std::move(dial)};
}

std::size_t OwnPaths::Hash::operator()(const PackedAddress& address) const {
  static_assert(sizeof address == 20);
  return std::hash<std::string_view>()(
      {reinterpret_cast<const char*>(&address), sizeof address - 1});
}

void OwnPaths::add_listener(const Address& bound) {
  const std::uint16_t port = bound.port();
  const std::unique_lock lock(mutex_);
  listeners_.insert_or_assign(port, bound);
  ports_[port / 64].fetch_or(std::uint64_t{1} << (port % 64));
}

void OwnPaths::remove_listener(std::uint16_t port) {
  const std::unique_lock lock(mutex_);
  listeners_.erase(port);
  ports_[port / 64].fetch_and(~(std::uint64_t{1} << (port % 64)));
}

bool OwnPaths::is_listened_on(std::uint16_t port) const {
  return (ports_[port / 64].load(kRelaxed) >> (port % 64) & 1) != 0;
}

bool OwnPaths::may_be_own(const Address& to) const {
  return is_listened_on(to.port()) && local_.may_contain(to);
}

std::optional<std::string> OwnPaths::ring(const DialOrigin& origin, const Address& to) const {
  if (!is_listened_on(to.port())) return std::nullopt;
  const bool is_ring = origin.has_passed(to.port());
  const bool is_long = origin.via && origin.via->path().size() + 1 >= kMostStreams;
  if ((!is_ring && !is_long) || !local_.contains(to)) return std::nullopt;
  const std::shared_lock lock(mutex_);
  const auto found = listeners_.find(to.port());
  if (found == listeners_.end() || !takes(found->second, to)) return std::nullopt;
  StreamPath path = origin.path();
  path.push_back(to.port());
  return describe_ring(path);
}

// Two sockets may have one source where they were dialled to different addresses of the port.
std::shared_ptr<OwnDial> OwnPaths::look_up(std::uint16_t port, const Accepted& client) {
  Shard& shard = shard_of(port);
  const std::lock_guard lock(shard.mutex);
  const auto [first, last] = shard.by_source.equal_range(PackedAddress(client.peer));
  std::optional<PackedAddress> own;
  for (auto each = first; each != last; ++each) {
    const Address to = each->second->to().address();
    if (to.port() != port) continue;
    if (std::next(first) != last) {
      if (!own) own = PackedAddress(local_address(client.fd.get()));
      if (as_dialled(to) != *own) continue;
    }
    auto dial = std::move(each->second);
    shard.by_source.erase(each);
    shard.used.fetch_sub(1);
    return dial;
  }
  return nullptr;
}

bool takes(const Address& bound, const Address& to) {
  if (bound.is_wildcard()) return bound.family() == AF_INET6 || is_v4(to);
  const bool is_in_scope =
      scope_of(bound) == 0 || scope_of(to) == 0 || scope_of(bound) == scope_of(to);
  return is_in_scope && as_dialled(to).has_ip_of(PackedAddress(bound));
}

}  // namespace sc::net
