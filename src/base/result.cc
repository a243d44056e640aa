#include "base/result.h"

#include <cstring>

namespace sc::base {

std::string_view to_string(Errc code) {
  switch (code) {
    case Errc::invalid:
      return "invalid";
    case Errc::not_found:
      return "not_found";
    case Errc::conflict:
      return "conflict";
    case Errc::in_use:
      return "in_use";
    case Errc::precondition:
      return "precondition";
    case Errc::unauthorized:
      return "unauthorized";
    case Errc::forbidden:
      return "forbidden";
    case Errc::unavailable:
      return "unavailable";
    case Errc::internal:
      return "internal";
  }
  return "?";
}

std::string describe_errno(std::string_view what, int number) {
  // The two GNU calls below are thread-safe (glibc 2.32 and later), unlike strerror(3).
  const char* text = ::strerrordesc_np(number);
  const char* name = ::strerrorname_np(number);
  std::string out(what);
  out += ": ";
  out += text != nullptr ? text : "unknown error";
  out += " (";
  out += name != nullptr ? std::string(name) : std::to_string(number);
  out += ")";
  return out;
}

}  // namespace sc::base
