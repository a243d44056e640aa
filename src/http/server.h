#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/fd.h"
#include "http/connection.h"
#include "http/peer_host.h"
#include "loop/loop.h"
#include "loop/timer.h"
#include "net/acceptor.h"

namespace sc::http {

// On a loopback address, or of a unix socket.
bool is_local(const net::Address& peer);

struct ServerOptions {
  ParserLimits limits;
  ConnectionTimeouts timeouts;
  // When all have their places, a newcomer gets that of the client that has waited longest without
  // a whole request, so that those who connect and say little cannot lock out those who ask. Only
  // where each one is being answered do newcomers wait in the backlog.
  std::size_t max_clients = 512;
  // Of these, kept for clients that is_trusted: others have the rest, and get no place of a trusted
  // one; who finds none is closed at once. So they cannot lock out the operator. Of the rest a host
  // has three quarters at most, and loses a place to a host that has fewer: one host cannot lock
  // out others.
  std::size_t reserved_clients = 64;
  std::function<bool(const net::Address& peer)> is_trusted = is_local;
  // Bytes that bodies and answers of all clients may take together, and how many of these are kept
  // for trusted clients. At the limit, the client that has taken longest to read its answer is
  // reset, if it had a second for it; else a request is answered 503.
  std::size_t memory = 32 * 1024 * 1024;
  std::size_t reserved_memory = 8 * 1024 * 1024;
  // Which clients count as of one host.
  std::function<std::string(const net::Address& peer)> host_of = host_key;
  ErrorBody error_body = plain_error;
};

// Serves HTTP/1.1 and HTTP/1.0 on any number of listening TCP and unix sockets. The handler is
// called for the head of each request, asks for its body, and answers through its Responder, at
// once or later; it must not destroy the server. Destruction drops the clients; Responders that
// outlive it answer nobody. The loop's thread only.
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

  // All answers so far.
  const AnswerCounts& answers() const { return service_.answers; }
  std::size_t client_count() const { return clients_.size(); }
  // How many clients lost their place to a newcomer.
  std::uint64_t evicted() const { return evicted_; }
  // How often newcomers had to wait, because each of max_clients was being answered.
  std::uint64_t limit_hits() const { return limit_hits_; }
  // How many clients found only places that are not for them, and were closed.
  std::uint64_t turned_away() const { return turned_away_; }
  // How many clients were dropped because they did not take what they had asked for as it came.
  std::uint64_t slow_readers() const { return slow_readers_; }
  // How many requests got 503 because bodies and answers took all the memory that they may.
  std::uint64_t memory_refusals() const { return memory_refusals_; }
  // Bytes that bodies and answers take now.
  std::size_t memory_used() const { return service_.memory.used(); }

 private:
  struct Client {
    bool is_trusted = false;
    std::string host;  // of a client that is not trusted, see host_key()
    std::unique_ptr<Connection> connection;
  };

  bool may_accept();
  void on_accept(net::Accepted accepted);
  void on_closed(std::uint64_t id);
  bool make_place(const net::Address& newcomer, const std::string& host);
  Connection* find_loser(const std::string& newcomer) const;
  std::size_t places_of(const std::string& host) const;
  void turn_away(const net::Address& peer);
  void note_slow_reader(const net::Address& peer);
  Connection* longest_waiting() const;
  bool make_room(const Connection& asker, std::size_t more);
  void update_acceptors();
  bool is_time_to_log(std::optional<base::Instant>& last) const;

  const base::Clock& clock_;
  const std::size_t max_clients_;
  const std::size_t max_others_;  // that are not trusted
  const std::size_t max_share_;   // of these, of one host
  const std::function<bool(const net::Address&)> is_trusted_;
  const std::function<std::string(const net::Address&)> host_of_;
  Service service_;
  std::vector<std::unique_ptr<net::Acceptor>> acceptors_;
  bool accepting_ = false;
  bool full_ = false;  // nobody's place can be had, newcomers wait
  loop::Timer look_again_;
  std::uint64_t next_id_ = 1;
  std::uint64_t limit_hits_ = 0;
  std::optional<base::Instant> limit_logged_;
  std::uint64_t evicted_ = 0;
  std::optional<base::Instant> eviction_logged_;
  std::uint64_t turned_away_ = 0;
  std::optional<base::Instant> turned_away_logged_;
  std::uint64_t slow_readers_ = 0;
  std::optional<base::Instant> slow_reader_logged_;
  std::uint64_t memory_refusals_ = 0;
  std::optional<base::Instant> memory_logged_;
  std::size_t others_ = 0;                               // of clients_, those that are not trusted
  std::unordered_map<std::string, std::size_t> places_;  // of these, by host
  std::unordered_map<std::uint64_t, Client> clients_;
};

}  // namespace sc::http
