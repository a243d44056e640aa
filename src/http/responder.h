#pragma once

#include <memory>

#include "http/message.h"

namespace sc::http {

class Connection;

// What a connection and the Responder of its present request share; the connection clears it when
// it dies.
struct Exchange {
  Connection* connection = nullptr;
};

// The right to answer one request, once. May be kept as long as it takes: answering a client that
// has gone, or through a server that has been destroyed, does nothing. Dropped without an answer,
// it answers 500, so that no client waits for ever. The loop's thread only.
class Responder {
 public:
  Responder() = default;  // answers nobody
  explicit Responder(std::shared_ptr<Exchange> exchange) : exchange_(std::move(exchange)) {}
  Responder(Responder&&) noexcept = default;
  Responder& operator=(Responder&& other) noexcept;
  Responder(const Responder&) = delete;
  Responder& operator=(const Responder&) = delete;
  ~Responder() { drop(); }

  // A second answer is ignored. May handle the client's next request before it returns.
  void respond(Response response);

  // Does anybody wait for the answer still, as far as is known?
  bool is_waited_for() const { return exchange_ != nullptr && exchange_->connection != nullptr; }

 private:
  void drop() noexcept;

  std::shared_ptr<Exchange> exchange_;
};

}  // namespace sc::http
