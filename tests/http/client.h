#pragma once

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/server.h"
#include "loop/loop.h"
#include "loop/poll.h"
#include "loop/timer.h"
#include "net/socket.h"
#include "support/catch.h"
#include "support/manual_clock.h"

namespace sc::test {

struct Answer {
  int status = 0;
  std::vector<http::Header> headers;
  std::string body;
  const std::string* header(std::string_view name) const {
    return http::find_header(headers, name);
  }
  std::string header_or_none(std::string_view name) const {
    const std::string* value = header(name);
    return value == nullptr ? "(none)" : *value;
  }
};

// A client on the server's own loop: sends what it is told as the socket takes it, keeps what
// comes.
class Client {
 public:
  Client(loop::Loop& loop, const net::Address& address)
      : fd_(net::start_connect(address)->release()),
        poll_(loop, fd_.get(), [this](loop::Ready ready) { on_ready(ready); }) {
    update();
  }

  void send(std::string_view bytes) {
    out_ += bytes;
    update();
  }
  void half_close() {
    half_close_ = true;
    update();
  }
  // From now on nothing is read, as by a client that hangs.
  void stop_reading() {
    reading_ = false;
    update();
  }
  void start_reading() {
    reading_ = true;
    update();
  }
  void reset() {
    net::reset_on_close(fd_.get());
    ended = true;
    poll_.watch(false, false);
    fd_.reset();
  }
  bool has_sent_all() const { return out_.empty(); }
  int fd() const { return fd_.get(); }

  // Takes one answer off what was received, if it is there whole.
  std::optional<Answer> take_answer(bool to_head = false) {
    const std::size_t end = received.find("\r\n\r\n");
    if (end == std::string::npos) return std::nullopt;
    Answer answer;
    std::string head = received.substr(0, end + 2);
    answer.status = std::atoi(head.substr(9, 3).c_str());
    head.erase(0, head.find("\r\n") + 2);
    while (!head.empty()) {
      const std::size_t colon = head.find(": ");
      const std::size_t line = head.find("\r\n");
      answer.headers.push_back({head.substr(0, colon), head.substr(colon + 2, line - colon - 2)});
      head.erase(0, line + 2);
    }
    const std::string* length = answer.header("content-length");
    const std::size_t size =
        length == nullptr || to_head ? 0 : static_cast<std::size_t>(std::atol(length->c_str()));
    if (received.size() < end + 4 + size) return std::nullopt;
    answer.body = received.substr(end + 4, size);
    received.erase(0, end + 4 + size);
    return answer;
  }

  std::string received;
  bool ended = false;  // by the server, or by a reset
  int error = 0;       // errno of the end

 private:
  void on_ready(loop::Ready ready) {
    if (ready.write && !out_.empty()) {
      const ssize_t sent = ::send(fd_.get(), out_.data(), out_.size(), MSG_NOSIGNAL);
      if (sent > 0) out_.erase(0, static_cast<std::size_t>(sent));
      if (sent < 0 && errno != EAGAIN) out_.clear();  // the read tells how it ended
    }
    if (ready.read && reading_) {
      std::array<char, 65536> buffer;
      const ssize_t got = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
      if (got > 0) received.append(buffer.data(), static_cast<std::size_t>(got));
      if (got == 0 || (got < 0 && errno != EAGAIN)) {
        ended = true;
        error = got < 0 ? errno : 0;
      }
    }
    update();
  }
  void update() {
    if (out_.empty() && half_close_) {
      half_close_ = false;
      ::shutdown(fd_.get(), SHUT_WR);
    }
    poll_.watch(reading_ && !ended, !out_.empty() && error == 0);
  }

  base::Fd fd_;
  std::string out_;
  bool half_close_ = false;
  bool reading_ = true;
  loop::Poll poll_;
};

// A server on a port of its own on loopback, and the loop that it shares with its clients. The
// handler keeps the requests, and answers each with its target unless it is replaced.
struct Served {
  explicit Served(http::ServerOptions options = {}) { open(std::move(options)); }

  void open(http::ServerOptions options) {
    auto address = net::Address::parse_ip("127.0.0.1", 0);
    auto listener = net::listen_tcp(*address, {});
    REQUIRE(listener);
    REQUIRE(net::local_address(listener->get()).port() != 0);
    server_address = net::local_address(listener->get());
    std::vector<base::Fd> listeners;
    listeners.push_back(std::move(*listener));
    server = std::make_unique<http::Server>(
        loop, clock, std::move(listeners),
        [this](http::Request request, http::Responder responder) {
          if (heads_only) return handler(std::move(request), std::move(responder));
          http::Responder held = std::move(responder);
          held.read_body(std::move(request), [this](http::Request whole, http::Responder owed) {
            requests.push_back(whole);
            handler(std::move(whole), std::move(owed));
          });
        },
        std::move(options));
    server->start();
  }

  Client& connect() {
    clients.push_back(std::make_unique<Client>(loop, server_address));
    return *clients.back();
  }

  // False when it does not come true within a minute.
  bool turn_until(const std::function<bool()>& is_true) {
    bool expired = false;
    loop::Timer watchdog(loop, [&] { expired = true; });
    watchdog.start(std::chrono::seconds{60});
    while (!is_true()) {
      if (expired) return false;
      loop.run_once(true);
    }
    return true;
  }

  Answer answer_to(Client& client, std::string_view bytes) {
    client.send(bytes);
    return next_answer(client, bytes.starts_with("HEAD "));
  }
  Answer next_answer(Client& client, bool to_head = false) {
    std::optional<Answer> answer;
    turn_until([&] { return (answer = client.take_answer(to_head)) || client.ended; });
    REQUIRE(answer);
    return *answer;
  }
  bool turn_until_end(Client& client) {
    return turn_until([&] { return client.ended; });
  }
  // All that comes until the server ends the connection.
  std::string all_for(Client& client, std::string_view bytes) {
    client.send(bytes);
    REQUIRE(turn_until_end(client));
    return client.received;
  }

  static http::Response text(std::string body) {
    http::Response response;
    response.content_type = "text/plain";
    response.body = std::move(body);
    return response;
  }

  loop::Loop loop;
  ManualClock clock;  // only for dates and logs: the timeouts are libuv's
  net::Address server_address;
  std::vector<http::Request> requests;
  http::Handler handler = [](http::Request request, http::Responder responder) {
    responder.respond(text(request.target));
  };
  bool heads_only = false;  // the handler asks for bodies itself, and requests are not kept
  std::vector<http::Responder> kept;  // by handlers that answer later
  std::unique_ptr<http::Server> server;
  std::vector<std::unique_ptr<Client>> clients;
};

}  // namespace sc::test
