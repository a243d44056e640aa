#pragma once

#include <memory>

#include "http/body_writer.h"
#include "http/exchange.h"
#include "http/message.h"

namespace sc::http {

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

  // Answers with a body that goes on, its first part the response's own: in chunks, or, as HTTP/1.0
  // has none, until the connection ends, which it does behind it in any case. What the client sends
  // meanwhile is not looked at. A client that ends its side is taken for gone. HEAD gets the head,
  // and nobody takes the body; nor while the server leaves. Calls back neither of the two from
  // inside.
  BodyWriter respond_open(Response head, BodyEvents events);

  // Reads the body of the request whose head it is, and calls `next` with the whole request. Calls
  // from inside where `has_body` is not set. Does not call if the client goes away, its body is
  // malformed or too long, or there is no memory for it: the server then answers by itself. Nothing
  // is owed here any more.
  using OnWhole = base::Callback<void(Request, Responder)>;
  void read_body(Request head, OnWhole next);

  // For the server's counts; the router does it.
  void set_route(RouteName route);

  // Calls back once when the request is answered, also by the server itself, and not if the client
  // goes away first. Replaces the callback that was set before.
  void set_on_answer(base::Callback<void(const Response&)> on_answer);

  // Does anybody wait for the answer still, as far as is known?
  bool is_waited_for() const { return exchange_ != nullptr && exchange_->connection != nullptr; }

 private:
  void drop() noexcept;

  std::shared_ptr<Exchange> exchange_;
};

}  // namespace sc::http
