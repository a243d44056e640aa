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
    case Errc::loop:
      return "loop";
    case Errc::precondition:
      return "precondition";
    case Errc::unauthorized:
      return "unauthorized";
    case Errc::forbidden:
      return "forbidden";
    case Errc::privilege:
      return "privilege";
    case Errc::replaced:
      return "replaced";
    case Errc::unavailable:
      return "unavailable";
    case Errc::internal:
      return "internal";
  }
  return "?";
}

// glibc's two calls are thread-safe (2.32 and later), unlike strerror(3).
std::string_view errno_name(int number) {
  const char* name = number > 0 ? ::strerrorname_np(number) : nullptr;
  return name != nullptr ? name : "";
}

std::string_view errno_text(int number) {
  const char* text = ::strerrordesc_np(number);
  return text != nullptr ? text : "unknown error";
}

std::string describe_errno(std::string_view what, int number) {
  const std::string_view name = errno_name(number);
  std::string out(what);
  out.append(": ").append(errno_text(number)).append(" (");
  out.append(name.empty() ? std::to_string(number) : std::string(name));
  return out + ")";
}

void Faults::add(Error error) {
  if (!all_) {
    all_ = std::move(error);
    return;
  }
  if (is_full()) return;
  all_->more.push_back({std::move(error.field), std::move(error.message)});
  for (WrongPart& part : error.more) {
    if (is_full()) return;
    all_->more.push_back(std::move(part));
  }
}

}  // namespace sc::base
