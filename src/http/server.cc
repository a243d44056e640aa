#include "http/server.h"

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <string>
#include <utility>

#include "base/log.h"

namespace sc::http {
namespace {

constexpr std::chrono::seconds kLimitLogInterval{1};
// Newcomers who wait are looked at again so often, for a client that was being answered may have
// its answer by now; when one ends, at once.
constexpr std::chrono::milliseconds kLookAgain{50};
// The kernel's share of an answer, of each client; it would take 4 MiB (tcp(7), tcp_wmem).
constexpr int kSendBuffer = 128 * 1024;

}  // namespace

bool is_local(const net::Address& peer) { return peer.is_loopback() || peer.is_unix(); }

Server::Server(loop::Loop& loop, const base::Clock& clock, std::vector<base::Fd> listeners,
               Handler handler, ServerOptions options)
    : clock_(clock),
      max_clients_(options.max_clients),
      max_others_(options.max_clients - std::min(options.reserved_clients, options.max_clients)),
      max_share_(max_others_ - max_others_ / 4),
      is_trusted_(std::move(options.is_trusted)),
      host_of_(std::move(options.host_of)),
      service_{.loop = loop,
               .limits = options.limits,
               .timeouts = options.timeouts,
               .handler = std::move(handler),
               .error_body = std::move(options.error_body),
               .date = DateCache(clock),
               .ids = {},
               .answers = {},
               .memory = MemoryBudget(options.memory, options.reserved_memory),
               .make_room = [this](const Connection& asker,
                                   std::size_t more) { return make_room(asker, more); },
               .on_closed = [this](std::uint64_t id) { on_closed(id); },
               .on_slow_reader = [this](const net::Address& peer) { note_slow_reader(peer); }},
      look_again_(loop, [this] {
        full_ = false;
        update_acceptors();
      }) {
  for (base::Fd& listener : listeners) {
    net::set_send_buffer(listener.get(), kSendBuffer);
    acceptors_.push_back(std::make_unique<net::Acceptor>(
        loop, std::move(listener),
        [this](net::Accepted accepted) { on_accept(std::move(accepted)); },
        net::Acceptor::Gate{[this] { return may_accept(); }, {}}));
  }
}

Server::~Server() = default;

void Server::start() {
  accepting_ = true;
  update_acceptors();
}

void Server::stop_accepting() {
  accepting_ = false;
  acceptors_.clear();
}

void Server::close_idle() {
  service_.leaving = true;
  std::vector<std::uint64_t> ids;  // connections go away, and come if there are acceptors left
  for (const auto& [id, client] : clients_) ids.push_back(id);
  for (const std::uint64_t id : ids) {
    const auto found = clients_.find(id);
    if (found != clients_.end()) found->second.connection->leave();
  }
}

// Asked before a newcomer is taken, because nobody can be put back into the backlog.
bool Server::may_accept() {
  if (clients_.size() < max_clients_ || longest_waiting() != nullptr) return true;
  full_ = true;
  update_acceptors();
  look_again_.start(kLookAgain);
  ++limit_hits_;
  if (is_time_to_log(limit_logged_))
    base::log::warning(
        "the API answers as many clients as it may, more wait",
        {{"max_clients", std::to_string(max_clients_)}, {"times", std::to_string(limit_hits_)}});
  return false;
}

void Server::on_accept(net::Accepted accepted) {
  const bool is_trusted = is_trusted_(accepted.peer);
  const std::string host = is_trusted ? std::string() : host_of_(accepted.peer);
  if (!make_place(accepted.peer, host)) {
    turn_away(accepted.peer);
    return;
  }
  const std::uint64_t id = next_id_++;
  try {
    clients_.emplace(
        id, Client{is_trusted, host,
                   std::make_unique<Connection>(service_, id, std::move(accepted), is_trusted)});
  } catch (const std::runtime_error& failure) {  // the host polls no further descriptor
    base::log::error("a client of the API was turned away", {{"reason", failure.what()}});
    return;
  }
  if (is_trusted) return;
  ++others_;
  ++places_[host];
}

// Is there a place for the newcomer, be it one that was taken until now?
// `host` is empty for a trusted one.
bool Server::make_place(const net::Address& newcomer, const std::string& host) {
  const bool has_share = host.empty() || (others_ < max_others_ && places_of(host) < max_share_);
  if (clients_.size() < max_clients_ && has_share) return true;
  Connection* loser = find_loser(host);
  if (loser == nullptr && host.empty()) loser = longest_waiting();
  if (loser == nullptr) return false;
  loser->evict();
  ++evicted_;
  if (is_time_to_log(eviction_logged_))
    base::log::warning("the API has as many clients as it may, who waited longest lost its place",
                       {{"newcomer", newcomer.to_string()}, {"times", std::to_string(evicted_)}});
  return true;
}

void Server::turn_away(const net::Address& peer) {
  ++turned_away_;
  if (is_time_to_log(turned_away_logged_))
    base::log::warning("the API has as many clients of other hosts as it may, more are closed",
                       {{"client", peer.to_string()},
                        {"most", std::to_string(max_others_)},
                        {"times", std::to_string(turned_away_)}});
}

void Server::note_slow_reader(const net::Address& peer) {
  ++slow_readers_;
  if (is_time_to_log(slow_reader_logged_))
    base::log::warning("a client of the API was dropped, as it takes what it asked for too slowly",
                       {{"client", peer.to_string()}, {"times", std::to_string(slow_readers_)}});
}

std::size_t Server::places_of(const std::string& host) const {
  const auto found = places_.find(host);
  return found == places_.end() ? 0 : found->second;
}

// Of the clients that are not trusted and wait, one of the host that has most places, and of these
// the one that has waited longest. A newcomer of a host that has its share, or more places than any
// other, gets one of its own host's. `newcomer` is empty for a trusted one.
Connection* Server::find_loser(const std::string& newcomer) const {
  const std::size_t least = newcomer.empty() ? 0 : places_of(newcomer);
  Connection* found = nullptr;
  std::size_t most = 0;
  std::chrono::milliseconds since{};
  for (const auto& [id, client] : clients_) {
    if (client.is_trusted) continue;
    const std::size_t places = places_of(client.host);
    if (places < least || places < most || (least >= max_share_ && client.host != newcomer))
      continue;
    const auto waits_since = client.connection->waits_since();
    if (!waits_since || (found != nullptr && places == most && *waits_since >= since)) continue;
    found = client.connection.get();
    most = places;
    since = *waits_since;
  }
  return found;
}

// Looks at each client: some microseconds, and only when all places are taken.
Connection* Server::longest_waiting() const {
  Connection* found = nullptr;
  std::chrono::milliseconds since{};
  for (const auto& [id, client] : clients_) {
    const auto waits_since = client.connection->waits_since();
    if (!waits_since || (found != nullptr && *waits_since >= since)) continue;
    found = client.connection.get();
    since = *waits_since;
  }
  return found;
}

// Looks at each client, only when the memory budget is full.
bool Server::make_room(const Connection& asker, std::size_t more) {
  const bool is_trusted = asker.is_trusted();
  while (!service_.memory.has_room(is_trusted, more)) {
    Client* found = nullptr;
    std::chrono::milliseconds since{};
    for (auto& [id, client] : clients_) {
      if (client.connection.get() == &asker || (client.is_trusted && !is_trusted)) continue;
      const auto holds_since = client.connection->holds_answer_since();
      if (!holds_since || service_.loop.now() - *holds_since < service_.timeouts.give_way) continue;
      // Others' answers go first.
      const bool is_better = found == nullptr || (found->is_trusted && !client.is_trusted) ||
                             (found->is_trusted == client.is_trusted && *holds_since < since);
      if (!is_better) continue;
      found = &client;
      since = *holds_since;
    }
    if (found == nullptr) {
      ++memory_refusals_;
      if (is_time_to_log(memory_logged_))
        base::log::warning("API memory limit reached, request refused",
                           {{"bytes", std::to_string(service_.memory.used())},
                            {"times", std::to_string(memory_refusals_)}});
      return false;
    }
    found->connection->give_up_answer();
  }
  return true;
}

void Server::on_closed(std::uint64_t id) {
  // Out of the map before it dies, so that whatever its end sets off finds the map in order.
  const auto closed = clients_.extract(id);
  if (const Client& client = closed.mapped(); !client.is_trusted) {
    --others_;
    if (const auto places = places_.find(client.host); --places->second == 0) places_.erase(places);
  }
  full_ = false;
  update_acceptors();
}

bool Server::is_time_to_log(std::optional<base::Instant>& last) const {
  const base::Instant now = clock_.steady();
  if (last && now - *last < kLimitLogInterval) return false;
  last = now;
  return true;
}

void Server::update_acceptors() {
  for (const auto& acceptor : acceptors_) {
    if (accepting_ && !full_) {
      acceptor->resume();
    } else {
      acceptor->pause();
    }
  }
}

}  // namespace sc::http
