#include "handoff/trouble.h"

namespace sc::handoff {

std::string_view to_string(Trouble trouble) {
  switch (trouble) {
    case Trouble::none:
      return "none";
    case Trouble::no_store:
      return "no_store";
    case Trouble::store_refused:
      return "store_refused";
    case Trouble::in_flight:
      return "in_flight_limit";
    case Trouble::table_full:
      return "table_full";
    case Trouble::no_pipe:
      return "no_pipe";
    case Trouble::host:
      return "host";
  }
  return "?";
}

}  // namespace sc::handoff
