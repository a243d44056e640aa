#include "http/body_writer.h"

#include <utility>

#include "http/connection.h"

namespace sc::http {

BodyWriter& BodyWriter::operator=(BodyWriter&& other) noexcept {
  if (this != &other) {
    end();
    exchange_ = std::move(other.exchange_);
  }
  return *this;
}

bool BodyWriter::write(std::string_view part) {
  return is_open() && exchange_->connection->write_body(part);
}

void BodyWriter::end() noexcept {
  const auto exchange = std::move(exchange_);
  if (exchange != nullptr && exchange->connection != nullptr) exchange->connection->end_body();
}

std::size_t BodyWriter::waiting() const { return is_open() ? exchange_->connection->waiting() : 0; }

}  // namespace sc::http
