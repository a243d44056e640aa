#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <deque>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "loop/loop.h"
#include "loop/mailbox.h"
#include "loop/timer.h"
#include "net/resolver/hosts_file.h"
#include "net/resolver/inquiry.h"
#include "net/resolver/resolver.h"
#include "net/resolver/server_list.h"
#include "net/resolver/system_lookup.h"
#include "net/resolver/watched_file.h"

namespace sc::net {

// What the resolver's thread has: its loop, and for each name that is in use what is known of it.
// Made and destroyed on another thread, while its own does not run.
class Resolver::Engine {
 public:
  struct Ask {
    std::shared_ptr<Name> name;
    ResolverClient* client = nullptr;  // null: a look-up ahead
  };
  struct Probe {
    base::Pulse* pulse = nullptr;
  };
  struct Stop {};
  using Command = std::variant<Ask, SystemLookup::Result, Probe, Stop>;

  explicit Engine(Resolver& resolver);
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  ~Engine();

  void send(Command command) { inbox_.send(std::move(command)); }  // any thread
  void run();

 private:
  // The addresses of one family, as the servers gave them last.
  struct Family {
    std::vector<Address> addresses;
    std::chrono::seconds ttl{};
    base::Instant answered_at{};  // when the addresses arrived
    base::Instant until{};        // it need not be asked for before
  };
  struct Entry {
    std::weak_ptr<Name> name;
    std::string text;
    Family v4;
    Family v6;
    NameSource source = NameSource::dns;
    base::Instant answered_at{};  // when addresses arrived last
    base::Instant expires{};      // the addresses, by their TTL
    std::chrono::seconds ttl{};
    std::string winner;       // the candidate of the search list that had them
    bool is_running = false;  // a look-up is under way
    bool is_partial = false;  // of which one family has been found and published
    bool is_ahead = false;    // and no client waits for it
    bool is_queued = false;   // in ahead_
    base::Instant started{};
    std::vector<ResolverClient*> waiting;
    std::unique_ptr<Inquiry> inquiry;
    std::unique_ptr<loop::Timer> patience;  // of the waiting clients
    bool is_published_stale = false;
    bool has_failed = false;  // the latest look-up, because no server gave a valid answer
    std::chrono::milliseconds ends_at{0};  // the look-up under way; loop time
    base::Instant due{};                   // in due_, unless it is zero
  };

  void handle(Ask command);
  void handle(SystemLookup::Result result);
  static void handle(const Probe& command);
  void handle(const Stop&);

  Entry& find_or_add(const std::shared_ptr<Name>& name);
  void start(Entry& entry, bool is_ahead);
  bool answer_locally(Entry& entry);
  void start_inquiry(Entry& entry);
  void on_inquiry(Entry& entry, Inquiry::Families asked, Inquiry::Result result);
  void update(Family& family, DnsReply& reply, base::Instant now) const;
  static void set_found(Entry& entry, NameSource source, base::Instant now);
  void wait_patiently(Entry& entry);
  void on_impatience(Entry& entry);
  void on_failure(Entry& entry, NameAnswer::Failure kind, std::string message, int error = 0);
  static void publish_found(Entry& entry, base::Instant until);
  void publish_stale(Entry& entry);
  void publish_failure(Entry& entry, NameAnswer::Failure kind, std::string message, int error = 0);
  bool may_be_stale(const Entry& entry, base::Instant now) const;
  void answer_waiting(Entry& entry);
  void end_look_up(Entry& entry);
  void schedule(Entry& entry, base::Instant at);
  void unschedule(Entry& entry);
  void start_ahead();
  void on_due();
  void on_watch();
  void look_at_files();
  void use_servers();
  static void expire(Entry& entry, base::Instant now);
  bool is_used_lately(const Name& name, std::chrono::seconds ttl) const;
  void sweep();
  void note_trouble(const std::string& trouble);

  Resolver& resolver_;
  const ResolverOptions& options_;
  const base::Clock& clock_;
  ResolverCounters& counters_;
  loop::Loop loop_;
  ResolvEnvironment environment_;
  WatchedFile hosts_;
  WatchedFile resolv_conf_;
  HostsIndex hosts_index_;                      // of the content of hosts_
  std::chrono::milliseconds looked_at_{-1000};  // at the files; loop time
  std::shared_ptr<ServerList> servers_;
  std::vector<std::shared_ptr<ServerList>> former_;  // until nothing uses them
  std::unordered_map<std::string, std::unique_ptr<Entry>> entries_;
  std::set<std::pair<base::Instant, Entry*>> due_;  // to be looked up ahead
  std::deque<std::string> ahead_;                   // wait for a place among kMostAhead
  std::size_t running_ahead_ = 0;
  bool is_starting_ahead_ = false;
  std::size_t sweeps_ = 0;
  std::string trouble_;  // as it was reported; empty: none
  loop::Timer due_timer_;
  loop::Timer watch_timer_;
  std::unique_ptr<SystemLookup> system_;
  loop::Mailbox<Command> inbox_;
};

// Sorts a name's addresses for the dialer. The family that this host has a route for is first, IPv6
// if it has a route for both (RFC 6724 section 6, rules 1 and 6, RFC 8305 section 4). Each family
// keeps its order. Asks the kernel, by connecting a UDP socket, once and only if there are both.
std::vector<Address> in_order_of_trying(const std::vector<Address>& v4,
                                        const std::vector<Address>& v6);

}  // namespace sc::net
