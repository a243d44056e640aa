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

}  // namespace

bool is_local(const net::Address& peer) { return peer.is_loopback() || peer.is_unix(); }

Server::Server(loop::Loop& loop, const base::Clock& clock, std::vector<base::Fd> listeners,
               Handler handler, ServerOptions options)
    : clock_(clock),
      max_clients_(options.max_clients),
      max_others_(options.max_clients - std::min(options.reserved_clients, options.max_clients)),
      is_trusted_(std::move(options.is_trusted)),
      service_{.loop = loop,
               .limits = options.limits,
               .timeouts = options.timeouts,
               .handler = std::move(handler),
               .error_body = std::move(options.error_body),
               .date = DateCache(clock),
               .ids = {},
               .on_closed = [this](std::uint64_t id) { on_closed(id); }} {
  for (base::Fd& listener : listeners) {
    acceptors_.push_back(std::make_unique<net::Acceptor>(
        loop, std::move(listener),
        [this](net::Accepted accepted) { on_accept(std::move(accepted)); }));
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

void Server::on_accept(net::Accepted accepted) {
  const bool is_trusted = is_trusted_(accepted.peer);
  if (!is_trusted && others_ >= max_others_) {
    ++turned_away_;
    if (is_time_to_log(turned_away_logged_))
      base::log::warning("the API has as many clients of other hosts as it may, more are closed",
                         {{"client", accepted.peer.to_string()},
                          {"most", std::to_string(max_others_)},
                          {"times", std::to_string(turned_away_)}});
    return;
  }
  const std::uint64_t id = next_id_++;
  try {
    clients_.emplace(
        id, Client{is_trusted, std::make_unique<Connection>(service_, id, std::move(accepted))});
  } catch (const std::runtime_error& failure) {  // the host polls no further descriptor
    base::log::error("a client of the API was turned away", {{"reason", failure.what()}});
    return;
  }
  if (!is_trusted) ++others_;
  if (clients_.size() < max_clients_) return;
  update_acceptors();
  ++limit_hits_;
  if (!is_time_to_log(limit_logged_)) return;
  base::log::warning(
      "the API has as many clients as it may, more wait",
      {{"max_clients", std::to_string(max_clients_)}, {"times", std::to_string(limit_hits_)}});
}

void Server::on_closed(std::uint64_t id) {
  // Out of the map before it dies, so that whatever its end sets off finds the map in order.
  const auto closed = clients_.extract(id);
  if (!closed.mapped().is_trusted) --others_;
  update_acceptors();
}

bool Server::is_time_to_log(std::optional<base::Instant>& last) const {
  const base::Instant now = clock_.steady();
  if (last && now - *last < kLimitLogInterval) return false;
  last = now;
  return true;
}

void Server::update_acceptors() {
  const bool room = clients_.size() < max_clients_;
  for (const auto& acceptor : acceptors_) {
    if (accepting_ && room) {
      acceptor->resume();
    } else {
      acceptor->pause();
    }
  }
}

}  // namespace sc::http
