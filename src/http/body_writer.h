#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

#include "http/exchange.h"

namespace sc::http {

// Writes the body of an answer that goes on until it is ended, part by part. Destruction ends it.
// Writing to a client that has gone, or through a server that has been destroyed, does nothing. The
// loop's thread only.
class BodyWriter {
 public:
  // Bytes that wait for the client beside one part: whoever takes less is dropped.
  static constexpr std::size_t kMostWaiting = 256 * 1024;

  BodyWriter() = default;  // nobody takes it
  explicit BodyWriter(std::shared_ptr<Exchange> exchange) : exchange_(std::move(exchange)) {}
  BodyWriter(BodyWriter&&) noexcept = default;
  BodyWriter& operator=(BodyWriter&& other) noexcept;
  BodyWriter(const BodyWriter&) = delete;
  BodyWriter& operator=(const BodyWriter&) = delete;
  ~BodyWriter() { end(); }

  // False: nobody takes it, or not fast enough, and on_closed follows. A part that is empty writes
  // nothing.
  bool write(std::string_view part);
  // What was written goes out, and the connection with it.
  void end() noexcept;

  // Does anybody take it still, as far as is known?
  bool is_open() const { return exchange_ != nullptr && exchange_->connection != nullptr; }
  // Bytes that the kernel has not taken yet.
  std::size_t waiting() const;

 private:
  std::shared_ptr<Exchange> exchange_;
};

}  // namespace sc::http
