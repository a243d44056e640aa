#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "net/address.h"
#include "net/local_addresses.h"
#include "net/socket.h"

namespace sc::net {

// The ports of this service's streams that a connection has passed, in that order.
using StreamPath = std::vector<std::uint16_t>;

// `9000 -> 9001 -> 9000`.
std::string to_string(const StreamPath& path);
// A sentence that names the ring, or the path that is too long.
std::string describe_ring(const StreamPath& path);

class OwnDial;

// The stream that dials, and the connection by which its client came.
struct DialOrigin {
  std::uint16_t port = 0;
  std::shared_ptr<OwnDial> via;  // null: the client is no stream of this service

  bool has_passed(std::uint16_t stream) const;
  StreamPath path() const;
};

// One connection from a stream of this service to another stream of it, as both of its ends know
// it. Any thread.
class OwnDial {
 public:
  OwnDial(const DialOrigin& origin, const Address& to, const Address& from)
      : path_(origin.path()), to_(to), from_(from) {}

  const StreamPath& path() const { return path_; }  // up to the stream that dialled
  // Returns whether a session of that stream must not go on from here: the connection has passed it
  // already, or too many streams.
  bool closes_ring_at(std::uint16_t stream) const;
  const PackedAddress& to() const { return to_; }  // as it was dialled
  const PackedAddress& from() const { return from_; }
  // The accepting end found a ring, or its own dial ran into one and no other address connected. It
  // sets the ring here and resets its end afterwards. So the dialling end can name the ring as the
  // cause of its reset, and passes the ring on to the connection before in the same way.
  void set_ring(const std::string& ring);
  std::string ring() const;  // empty: none was found

 private:
  const StreamPath path_;
  const PackedAddress to_;
  const PackedAddress from_;
  mutable std::mutex mutex_;
  std::string ring_;
};

// Finds connections of this service to itself, so that a ring of streams ends where it closes and
// a row of streams works. A stream that forwards to a listener of this service announces its
// connection here before the listener's worker can accept it. That worker looks the peer up. So
// each session knows which streams its client has passed.
//
// A connection that its dialling end closes before it is accepted has no path: another program may
// have its port by then. A ring goes one stream further in this case.
//
// The check costs one relaxed load if a session dials a port without a listener of this service, or
// is accepted while no such connection waits in a backlog. Any thread, but for construction.
class OwnPaths {
 public:
  static constexpr std::size_t kMostStreams = 64;  // in a row

  // Removes a connection that has not been accepted from the list. It ends before the socket is
  // closed, because another program may get the port at once.
  class Announced {
   public:
    Announced() = default;
    Announced(OwnPaths* paths, std::shared_ptr<OwnDial> dial);
    Announced(Announced&& other) noexcept;
    Announced& operator=(Announced&& other) noexcept;
    ~Announced() { end(); }

    OwnDial* dial() const { return dial_.get(); }

   private:
    void end();

    OwnPaths* paths_ = nullptr;
    std::shared_ptr<OwnDial> dial_;
  };

  // Between its construction and announce(), no worker looks up a client of the dialled port.
  class Dialing {
   public:
    Dialing(OwnPaths& paths, const Address& to);
    Dialing(const Dialing&) = delete;
    Dialing& operator=(const Dialing&) = delete;
    ~Dialing();
    // connect(2) has given the socket its address.
    Announced announce(const DialOrigin& origin, int socket);

   private:
    OwnPaths& paths_;
    const Address to_;
    std::unique_lock<std::mutex> lock_;
  };

  explicit OwnPaths(const LocalAddresses& local) : local_(local) {}
  OwnPaths(const OwnPaths&) = delete;
  OwnPaths& operator=(const OwnPaths&) = delete;

  // A stream listens there from now on, at one address of each port.
  void add_listener(const Address& bound);
  void remove_listener(std::uint16_t port);

  // Returns whether a connection to the address may arrive at one of the listeners.
  bool may_be_own(const Address& to) const;
  // Returns a sentence if a stream of that origin must not dial the address. Either the connection
  // has passed the listener of that address already, or the path is too long.
  std::optional<std::string> ring(const DialOrigin& origin, const Address& to) const;
  bool is_local(const Address& address) const { return local_.contains(address); }

  // Returns the connection by which a client of the stream's listener came, and removes it from the
  // list: it is accepted once, and after its reset another program may get its port. Null: the
  // client is no stream of this service.
  std::shared_ptr<OwnDial> take(std::uint16_t port, const Accepted& client) {
    if (shard_of(port).used.load(std::memory_order_relaxed) == 0) return nullptr;
    return look_up(port, client);
  }

 private:
  static constexpr std::size_t kShards = 64;
  struct Hash {
    std::size_t operator()(const PackedAddress& address) const;
  };
  // Of all connections to the ports that share it.
  struct Shard {
    std::atomic<std::size_t> used{0};  // entries, and dials that may become some
    std::mutex mutex;
    std::unordered_multimap<PackedAddress, std::shared_ptr<OwnDial>, Hash> by_source;
  };

  Shard& shard_of(std::uint16_t port) { return shards_[port % kShards]; }
  bool is_listened_on(std::uint16_t port) const;
  std::shared_ptr<OwnDial> look_up(std::uint16_t port, const Accepted& client);

  const LocalAddresses& local_;
  std::array<std::atomic<std::uint64_t>, 1024> ports_{};  // a bit for each port; relaxed
  mutable std::shared_mutex mutex_;                       // of what follows
  std::map<std::uint16_t, Address> listeners_;
  std::array<Shard, kShards> shards_;
};

// Returns whether a listener that is bound so takes a connection to this address of the host. An
// IPv6 wildcard listener takes IPv4 too.
bool takes(const Address& bound, const Address& to);

}  // namespace sc::net
