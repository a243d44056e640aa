#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "net/address.h"

namespace sc::net {

// Where the addresses of a name came from.
enum class NameSource : unsigned char {
  dns,
  hosts,     // /etc/hosts
  system,    // getaddrinfo(3)
  loopback,  // localhost and names below it (RFC 6761 section 6.3)
};

std::string_view to_string(NameSource source);

// What a look-up found out. A value that never changes; a newer answer replaces it as a whole.
struct NameAnswer {
  enum class Failure : unsigned char {
    none,
    not_found,  // the name does not exist, or has no address
    silent,     // no server answered in time
    broken,     // servers answered, but with an error
    no_way,     // this host has no route to a server, or a firewall of it forbids it
    exhausted,  // this host has no descriptor, thread or memory for the look-up
  };
  std::vector<Address> addresses;  // in the order of trying, port 0; empty if the look-up failed
  Failure failure = Failure::none;
  std::string message;  // the cause of the failure; empty if there is none
  int error = 0;        // errno of `no_way` or `exhausted`; 0: none is known
  NameSource source = NameSource::dns;
  bool is_stale = false;       // older than its TTL, used because no server answers
  base::Instant answered_at;   // when the addresses arrived
  std::chrono::seconds ttl{};  // as it was applied, within the resolver's limits; 0: no TTL
  base::Instant usable_until;  // after this time, sessions ask again
};

// One host name that streams forward to, shared by all threads. It holds the latest answer.
// Any thread.
class Name {
 public:
  struct Failure {
    base::WallTime at{};
    std::string message;
  };

  explicit Name(std::string text) : text_(std::move(text)) {}
  Name(const Name&) = delete;
  Name& operator=(const Name&) = delete;

  // In lower case, without a dot at the end unless the configuration has one.
  const std::string& text() const { return text_; }
  // null: no look-up has ended yet.
  std::shared_ptr<const NameAnswer> answer() const;
  // The latest failed look-up. nullopt: none has failed.
  std::optional<Failure> last_failure() const;
  // When a session used the name last; the clock's start if none did.
  base::Instant used_at() const { return used_at_.load(std::memory_order_relaxed); }
  void note_use(base::Instant now) { used_at_.store(now, std::memory_order_relaxed); }

 private:
  friend class Resolver;
  void publish(std::shared_ptr<const NameAnswer> answer);
  void note_failure(Failure failure);

  const std::string text_;
  std::atomic<base::Instant> used_at_{base::Instant{}};
  mutable std::mutex mutex_;  // guards the next two
  std::shared_ptr<const NameAnswer> answer_;
  std::optional<Failure> last_failure_;
};

}  // namespace sc::net
