#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/callback.h"
#include "loop/loop.h"
#include "loop/poll.h"
#include "loop/timer.h"
#include "net/address.h"
#include "net/error_blame.h"

struct ares_channeldata;

namespace sc::net {

enum class RecordType : unsigned char { a, aaaa };

// What one server answered to one query.
struct DnsReply {
  enum class Kind : unsigned char {
    found,
    no_data,         // the name exists and has no record of this type
    not_found,       // NXDOMAIN
    server_failure,  // SERVFAIL, REFUSED, a malformed reply, ...
    unreachable,     // nothing listens there, or there is no route
    silent,          // no reply in time
    no_way,          // every server is unreachable, as this host has no way to it
    exhausted,       // this host has no descriptor, memory or source port for the query
  };
  static constexpr std::size_t kMostAddresses = 16;  // further records are ignored

  Kind kind = Kind::silent;
  std::vector<Address> addresses;  // port 0, in the reply's order
  std::chrono::seconds ttl{};      // the smallest of the addresses and CNAMEs; never negative
  std::string message;             // the cause if there is no address
  int host_error = 0;              // errno that speaks of this host (net/error_blame), else 0
};

// One name server: a c-ares channel that knows this server alone and sends each query once. So
// DnsQuestion alone decides about order, repetition and timeouts. c-ares contributes the wire
// format, unpredictable ids and source ports, the match of reply and query, and TCP after a
// truncated reply. The channel is made with the first query. Loop's thread only.
class DnsServer {
 public:
  struct Options {
    std::chrono::milliseconds timeout{5000};  // a reply that arrives later is dropped
    bool use_tcp = false;
    bool use_edns = false;
  };
  using OnReply = base::Callback<void(DnsReply)>;

  // A query under way. Destroying it drops the reply.
  class Query {
   public:
    Query(const Query&) = delete;
    Query& operator=(const Query&) = delete;
    ~Query();

   private:
    friend class DnsServer;
    struct Pending;
    explicit Query(Pending* pending) : pending_(pending) {}
    Pending* pending_;
  };

  DnsServer(loop::Loop& loop, const Address& address, const Options& options);
  DnsServer(const DnsServer&) = delete;
  DnsServer& operator=(const DnsServer&) = delete;
  ~DnsServer();

  const Address& address() const { return address_; }

  // on_reply is called once, later; it may destroy the Query but not the DnsServer.
  std::unique_ptr<Query> ask(const std::string& name, RecordType type, OnReply on_reply);

 private:
  struct Sockets;

  bool open_channel();
  void note_error(ErrorStep step, int error);
  static void on_answer(void* argument, int status, int timeouts, unsigned char* reply,
                        int size) noexcept;
  static void on_socket_state(void* self, int fd, int readable, int writable) noexcept;
  void on_ready(int fd, loop::Ready ready);
  void on_tick();
  void deliver();

  loop::Loop& loop_;
  const Address address_;
  const Options options_;
  ares_channeldata* channel_ = nullptr;
  std::size_t outstanding_ = 0;  // queries that c-ares has not answered
  std::string lack_;    // what this host lacked for the latest socket, with the remedy; or empty
  int lack_error_ = 0;  // its errno
  int host_error_ = 0;  // errno of the latest socket that speaks of this host, see note_error()
  bool is_unreachable_ = false;            // as a query found; the others under way fail too
  std::vector<Query::Pending*> answered_;  // still to be delivered
  std::map<int, std::unique_ptr<loop::Poll>> polls_;
  loop::Timer tick_;
  loop::Timer deliver_due_;
};

}  // namespace sc::net
