#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/fd.h"
#include "http/connection.h"
#include "loop/loop.h"
#include "net/acceptor.h"

namespace sc::http {

struct ServerOptions {
  ParserLimits limits;
  ConnectionTimeouts timeouts;
  std::size_t max_clients = 512;  // more wait in the backlog
  ErrorBody error_body = plain_error;
};

// Serves HTTP/1.1 and HTTP/1.0 on any number of listening TCP and unix sockets. The handler is
// called for each request and answers through its Responder, at once or later; it must not destroy
// the server. Destruction drops the clients; Responders that outlive it answer nobody. The loop's
// thread only.
class Server {
 public:
  Server(loop::Loop& loop, const base::Clock& clock, std::vector<base::Fd> listeners,
         Handler handler, ServerOptions options = {});
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server();

  // Nobody is accepted before.
  void start();

  // To end in good order: stop_accepting(), then close_idle(), then turn the loop until
  // client_count() is 0 or time is up.
  //
  // Closes the listeners.
  void stop_accepting();
  // Closes the clients that wait for no answer; from now on every answer is its client's last one
  // and says so.
  void close_idle();

  std::size_t client_count() const { return connections_.size(); }
  // How often max_clients was reached.
  std::uint64_t limit_hits() const { return limit_hits_; }

 private:
  void on_accept(net::Accepted accepted);
  void on_closed(std::uint64_t id);
  void update_acceptors();

  const base::Clock& clock_;
  const std::size_t max_clients_;
  Service service_;
  std::vector<std::unique_ptr<net::Acceptor>> acceptors_;
  bool accepting_ = false;
  std::uint64_t next_id_ = 1;
  std::uint64_t limit_hits_ = 0;
  std::optional<base::Instant> limit_logged_;
  std::unordered_map<std::uint64_t, std::unique_ptr<Connection>> connections_;
};

}  // namespace sc::http
