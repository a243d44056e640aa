#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/pulse.h"
#include "net/resolver/name.h"
#include "net/resolver/resolv_conf.h"

namespace sc::net {

class ResolverClient;

struct ResolverOptions {
  enum class Mode : unsigned char {
    dns,     // hosts file, then DNS by c-ares
    system,  // getaddrinfo(3): whatever nsswitch.conf names
  };
  Mode mode = Mode::dns;
  std::chrono::milliseconds timeout{5000};                 // one look-up
  std::chrono::milliseconds stale{std::chrono::hours(1)};  // how long after its TTL; 0: never
  std::string hosts_path = "/etc/hosts";
  std::string resolv_conf_path = "/etc/resolv.conf";
  std::uint16_t dns_port = 53;  // another one for tests
};

// Numbers of all look-ups since the start. Any thread; relaxed.
struct ResolverCounters {
  static constexpr std::array kBounds{100e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3,
                                      50e-3,  100e-3, 0.25, 0.5,    1.0,  2.5,   5.0};  // seconds
  std::atomic<std::uint64_t> queries{0};   // messages to name servers, or calls of getaddrinfo
  std::atomic<std::uint64_t> hits{0};      // sessions that found an answer that was there
  std::atomic<std::uint64_t> stale{0};     // sessions that got a stale answer
  std::atomic<std::uint64_t> failures{0};  // look-ups that found no address
  // How long look-ups took until they had an answer; counted by the resolver's thread alone.
  std::array<std::atomic<std::uint64_t>, kBounds.size() + 1> took{};
  std::atomic<std::uint64_t> took_us{0};
};

// Resolves names for all threads, on a thread of its own. All clients share the look-up of a name,
// the cache, and the record of which name servers answer.
//
// All users of a name share its Name, which lives as long as they do. Its answer is used until it
// expires: after its TTL, within kLeastTtl and kMostTtl, or kFailureTtl or kNotFoundTtl for a
// failure. A name that was used during its TTL is looked up again shortly before it expires. If
// that fails because servers are silent or answer with errors, the previous addresses stay in use,
// marked as stale, for ResolverOptions::stale after their TTL. The look-up is repeated every
// kStaleRetry. A reply that the name does not exist is a valid reply and replaces them at once.
//
// Changes of the hosts file and resolv.conf take effect within kWatchEvery. Answers that they
// concern expire. Look-ups under way begin again; replies of the previous name servers are ignored.
class Resolver {
 public:
  static constexpr std::chrono::seconds kLeastTtl{1};
  static constexpr std::chrono::seconds kMostTtl{3600};
  static constexpr std::chrono::seconds kFailureTtl{1};
  static constexpr std::chrono::seconds kNotFoundTtl{3};
  static constexpr std::chrono::seconds kSystemTtl{30};  // getaddrinfo(3) has none
  // While one family has addresses and the other has none, that one is looked up again after this.
  static constexpr std::chrono::seconds kAbsentFamilyTtl{30};
  static constexpr std::chrono::seconds kStaleRetry{5};
  // A client that finds an expired answer waits this long for a better one, then uses it as stale.
  static constexpr std::chrono::milliseconds kStalePatience{1000};
  static constexpr std::chrono::milliseconds kWatchEvery{500};
  // Look-ups ahead at the same time: 9,000 streams that open at once are no storm.
  static constexpr std::size_t kMostAhead = 64;

  // Called on the resolver's thread when all name servers have fallen silent, with a sentence, and
  // with an empty text when one answers again.
  using OnTrouble = std::function<void(std::string trouble)>;

  // Starts the thread. `clock` outlives the resolver. Throws std::runtime_error where the host
  // gives no thread.
  Resolver(ResolverOptions options, const base::Clock& clock, OnTrouble on_trouble = {});
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;
  ~Resolver();

  // The thread's name.
  static constexpr const char* kThreadName = "resolver";

  // Ends the thread: no client is called any more. The clients may die then. Returns false if
  // the thread still runs after `patience`; then the process must end without destroying this.
  bool stop(std::chrono::milliseconds patience = std::chrono::hours(24));

  // Wakes the thread to answer a probe; see pulse(). Any thread, before stop().
  void probe();
  const base::Pulse& pulse() const { return pulse_; }

  // The name that all threads share; null for an IP literal. Any thread.
  std::shared_ptr<Name> name(std::string_view text);
  // Looks the name up soon if nothing is known of it. Any thread.
  void look_ahead(std::shared_ptr<Name> name);

  const ResolverOptions& options() const { return options_; }
  const base::Clock& clock() const { return clock_; }
  ResolverCounters& counters() { return counters_; }

  // Look-ups that cannot be interrupted still run: the process cannot end in order before they
  // have. Any thread.
  static bool is_busy();

 private:
  friend class ResolverClient;
  class Engine;  // what the thread has

  // From a client's thread; it is answered by ResolverClient::on_answered.
  void ask(std::shared_ptr<Name> name, ResolverClient& client);
  static void publish(Name& name, NameAnswer answer);
  static void note_failure(Name& name, Name::Failure failure);

  const ResolverOptions options_;
  const base::Clock& clock_;
  const OnTrouble on_trouble_;
  ResolverCounters counters_;
  std::mutex mutex_;  // guards names_
  std::unordered_map<std::string, std::weak_ptr<Name>> names_;
  std::unique_ptr<Engine> engine_;
  base::Pulse pulse_;
  std::promise<void> ended_;  // the thread has left its loop
  std::thread thread_;
};

}  // namespace sc::net
