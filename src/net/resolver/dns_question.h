#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "base/callback.h"
#include "loop/loop.h"
#include "loop/timer.h"
#include "net/resolver/server_list.h"

namespace sc::net {

// One name and record type, asked of the servers until one gives a valid reply. The query goes to
// the next server when one fails or has been silent for kFirstWait. After the last server the round
// begins again with twice the wait, without the servers that have answered with an error. A reply
// to any query that is still open counts, so a slow server is not cut short by its successor.
// Starts when made; on_done comes later, once; destruction cancels. Loop's thread only.
class DnsQuestion {
 public:
  using OnDone = base::Callback<void(DnsReply)>;  // may destroy the DnsQuestion

  // Long enough for a server on another continent. Short enough that a silent first server delays a
  // client by less than a second; c-ares waits 5 s for each, twice.
  static constexpr std::chrono::milliseconds kFirstWait{400};

  // `timeout`: for all servers and rounds together.
  DnsQuestion(loop::Loop& loop, ServerList& servers, std::string name, RecordType type,
              std::chrono::milliseconds timeout, OnDone on_done);
  DnsQuestion(const DnsQuestion&) = delete;
  DnsQuestion& operator=(const DnsQuestion&) = delete;

 private:
  struct Sent {
    std::size_t server = 0;
    std::chrono::milliseconds at{0};          // loop time
    std::unique_ptr<DnsServer::Query> query;  // null: it has been answered
  };

  void send_next();
  void skip_failed();
  void send_to(std::size_t server);
  void on_reply(std::size_t place, DnsReply reply);
  void on_wait_over();
  void give_up();
  void finish(DnsReply reply);
  bool is_any_open() const;
  bool may_send() const;
  bool is_worth_waiting() const;

  loop::Loop& loop_;
  ServerList& servers_;
  const std::string name_;
  const RecordType type_;
  const std::chrono::milliseconds timeout_;
  OnDone on_done_;
  std::vector<std::size_t> order_;
  std::size_t next_ = 0;   // place in order_ of the next query; counts on over the rounds
  std::size_t round_ = 0;  // of the latest query
  std::vector<Sent> sent_;
  std::string failure_;           // of the latest server that answered with an error
  std::vector<bool> has_failed_;  // by server: it answered with an error
  std::size_t failures_ = 0;      // these servers
  std::size_t unreachable_ = 0;   // queries that no server took
  std::size_t without_way_ = 0;   // of the unreachable ones: this host has no way to them
  int host_error_ = 0;            // errno of these
  bool is_exhausted_ = false;     // this host could not send
  bool is_last_wait_ = false;     // nothing more is sent
  loop::Timer wait_;
  loop::Timer deadline_;
};

}  // namespace sc::net
