#include "http/responder.h"

#include <utility>

#include "http/connection.h"

namespace sc::http {

Responder& Responder::operator=(Responder&& other) noexcept {
  if (this != &other) {
    drop();
    exchange_ = std::move(other.exchange_);
  }
  return *this;
}

void Responder::respond(Response response) {
  const auto exchange = std::move(exchange_);
  if (exchange != nullptr && exchange->connection != nullptr)
    exchange->connection->answer(response);
}

BodyWriter Responder::respond_open(Response head, BodyEvents events) {
  auto exchange = std::move(exchange_);
  if (exchange == nullptr || exchange->connection == nullptr) return {};
  exchange->events = std::move(events);
  exchange->connection->start_body(head);
  return BodyWriter(std::move(exchange));
}

void Responder::read_body(Request head, OnWhole next) {
  if (!head.has_body) return next(std::move(head), std::move(*this));
  const auto exchange = std::move(exchange_);
  if (exchange == nullptr || exchange->connection == nullptr) return;
  exchange->connection->read_body([weak = std::weak_ptr(exchange), head = std::move(head),
                                   next = std::move(next)](std::string body) mutable {
    head.body = std::move(body);
    head.has_body = false;
    next(std::move(head), Responder(weak.lock()));
  });
}

void Responder::set_route(RouteName route) {
  if (exchange_ != nullptr) exchange_->route = std::move(route);
}

void Responder::set_on_answer(base::Callback<void(const Response&)> on_answer) {
  if (exchange_ != nullptr) exchange_->on_answer = std::move(on_answer);
}

void Responder::drop() noexcept {
  const auto exchange = std::move(exchange_);
  if (exchange != nullptr && exchange->connection != nullptr)
    exchange->connection->answer_error(500, "the request was not answered");
}

}  // namespace sc::http
