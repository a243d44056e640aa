#include "http/server.h"

#include <chrono>
#include <stdexcept>
#include <string>
#include <utility>

#include "base/log.h"

namespace sc::http {
namespace {

constexpr std::chrono::seconds kLimitLogInterval{1};

}  // namespace

Server::Server(loop::Loop& loop, const base::Clock& clock, std::vector<base::Fd> listeners,
               Handler handler, ServerOptions options)
    : clock_(clock),
      max_clients_(options.max_clients),
      service_{.loop = loop,
               .limits = options.limits,
               .timeouts = options.timeouts,
               .handler = std::move(handler),
               .error_body = std::move(options.error_body),
               .date = DateCache(clock),
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
  for (const auto& [id, connection] : connections_) ids.push_back(id);
  for (const std::uint64_t id : ids) {
    const auto found = connections_.find(id);
    if (found != connections_.end()) found->second->leave();
  }
}

void Server::on_accept(net::Accepted accepted) {
  const std::uint64_t id = next_id_++;
  try {
    connections_.emplace(id, std::make_unique<Connection>(service_, id, std::move(accepted)));
  } catch (const std::runtime_error& failure) {  // the host polls no further descriptor
    base::log::error("a client of the API was turned away", {{"reason", failure.what()}});
    return;
  }
  if (connections_.size() < max_clients_) return;
  update_acceptors();
  ++limit_hits_;
  const base::Instant now = clock_.steady();
  if (limit_logged_ && now - *limit_logged_ < kLimitLogInterval) return;
  limit_logged_ = now;
  base::log::warning(
      "the API has as many clients as it may, more wait",
      {{"max_clients", std::to_string(max_clients_)}, {"times", std::to_string(limit_hits_)}});
}

void Server::on_closed(std::uint64_t id) {
  // Out of the map before it dies, so that whatever its end sets off finds the map in order.
  const auto closed = connections_.extract(id);
  update_acceptors();
}

void Server::update_acceptors() {
  const bool room = connections_.size() < max_clients_;
  for (const auto& acceptor : acceptors_) {
    if (accepting_ && room) {
      acceptor->resume();
    } else {
      acceptor->pause();
    }
  }
}

}  // namespace sc::http
