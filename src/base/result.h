#pragma once

#include <cassert>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace sc::base {

// What kind of failure it was, as far as a caller decides by it. Becomes an HTTP status in
// api/problem.cc alone.
enum class Errc : unsigned char {
  invalid,       // the request itself is wrong and will stay wrong
  not_found,     // what it names does not exist
  conflict,      // another stream holds what it asks for
  in_use,        // another process on the host does
  loop,          // a stream would forward back to itself
  precondition,  // it is not any more as the asker says that it is
  unauthorized,  // the asker has to say who it is
  forbidden,     // the asker is known, or of no matter, and may not
  privilege,     // this host does not let the service have the port
  replaced,      // the database's files are not those that were opened; a reload may help
  unavailable,   // cannot be done now; the same request may work later
  internal,      // a fault of ours or of the host
};

std::string_view to_string(Errc code);

// A further wrong part of a request. A value.
struct WrongPart {
  std::string field;  // a JSON pointer, as in Error
  std::string message;
  bool operator==(const WrongPart&) const = default;
};

// An expected failure. The message is a sentence for the person who asked.
struct Error {
  Errc code = Errc::internal;
  std::string message;
  // The part of the request that is wrong, as a JSON pointer (RFC 6901): `/backend`. Mostly empty.
  std::string field;
  std::vector<WrongPart> more;  // the other wrong parts, where there are several
  bool operator==(const Error&) const = default;
};

// `ECONNREFUSED`; empty for a number that is none.
std::string_view errno_name(int number);
// `Connection refused`.
std::string_view errno_text(int number);
// "what: strerror(number)", with the errno's symbolic name: `bind: Address already in use
// (EADDRINUSE)`.
std::string describe_errno(std::string_view what, int number);

// A value or why there is none; shaped like std::expected, which GCC 12 does not have in C++20.
template <class T, class E = Error>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}  // NOLINT: implicit
  Result(E error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: implicit

  bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }

  T& operator*() & { return *value_ptr(); }
  const T& operator*() const& { return *value_ptr(); }
  T&& operator*() && { return std::move(*value_ptr()); }
  T* operator->() { return value_ptr(); }
  const T* operator->() const { return value_ptr(); }

  const E& error() const {
    assert(!has_value());
    return *std::get_if<1>(&state_);
  }

 private:
  T* value_ptr() {
    assert(has_value());
    return std::get_if<0>(&state_);
  }
  const T* value_ptr() const {
    assert(has_value());
    return std::get_if<0>(&state_);
  }

  std::variant<T, E> state_;
};

// Success without a value is `Result<void>{}`.
template <class E>
class [[nodiscard]] Result<void, E> {
 public:
  Result() = default;
  Result(E error) : error_(std::move(error)) {}  // NOLINT: implicit

  bool has_value() const { return !error_; }
  explicit operator bool() const { return has_value(); }
  const E& error() const {
    assert(error_);
    return *error_;
  }

 private:
  std::optional<E> error_;
};

// Collects the wrong parts of a request, so that one answer names them all. The first one added is
// the error's own, and decides its code.
class Faults {
 public:
  static constexpr std::size_t kMost = 20;  // more are of no use; further ones are dropped

  void add(Error error);
  void add(const Result<void>& checked) {
    if (!checked) add(checked.error());
  }
  bool empty() const { return !all_; }
  bool is_full() const { return all_ && all_->more.size() + 1 >= kMost; }
  Result<void> result() && {
    if (!all_) return {};
    return std::move(*all_);
  }

 private:
  std::optional<Error> all_;
};

}  // namespace sc::base
