#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "loop/loop.h"
#include "net/resolver/dns_server.h"
#include "net/resolver/resolv_conf.h"

namespace sc::net {

// The name servers of one resolv.conf and what is known about them. A server that did not answer in
// time gets queries last from then on. So a dead server costs one look-up a short wait and later
// look-ups nothing. Every kProbeEvery such a server also gets a query that goes to a healthy
// server, to find out whether it answers again. Loop's thread only.
class ServerList {
 public:
  static constexpr std::chrono::seconds kProbeEvery{10};
  static constexpr std::chrono::seconds kLogEvery{60};  // of one server's silence

  // `sent` counts the queries and outlives the list.
  ServerList(loop::Loop& loop, const ResolvConf& conf, std::chrono::milliseconds timeout,
             std::atomic<std::uint64_t>& sent);
  ServerList(const ServerList&) = delete;
  ServerList& operator=(const ServerList&) = delete;

  const ResolvConf& conf() const { return conf_; }
  std::size_t size() const { return servers_.size(); }

  // All servers in the order in which the next look-up uses them. Servers that answer are first, in
  // the order of the file, or in turns with `rotate`.
  std::vector<std::size_t> order();
  // Sends the query also to a server that comes last, if it is due to be tried again. Its reply
  // changes only the order.
  void probe(const std::string& name, RecordType type);

  std::unique_ptr<DnsServer::Query> ask(std::size_t server, const std::string& name,
                                        RecordType type, DnsServer::OnReply on_reply);
  void note_answer(std::size_t server);
  // Records that it has not answered a query sent at `since`, loop time. Does nothing if it has
  // answered another query since: some servers drop only AAAA queries.
  void note_silence(std::size_t server, std::chrono::milliseconds since);
  // None has answered lately.
  bool are_silent() const;
  std::string names() const;  // their IPs, for people
  const Address& address(std::size_t server) const { return servers_.at(server).dns->address(); }

 private:
  struct Server {
    std::unique_ptr<DnsServer> dns;
    bool answers = true;
    std::chrono::milliseconds answered_at{-1};           // loop time; -1: never
    std::chrono::milliseconds probe_at{0};               // loop time
    std::optional<std::chrono::milliseconds> silent_at;  // loop time; its latest silence
    std::optional<std::chrono::milliseconds> logged_at;  // loop time; the latest one in the log
    std::unique_ptr<DnsServer::Query> probe;
  };

  loop::Loop& loop_;
  const ResolvConf conf_;
  std::atomic<std::uint64_t>& sent_;
  std::vector<Server> servers_;
  std::size_t turn_ = 0;  // with `rotate`
};

}  // namespace sc::net
