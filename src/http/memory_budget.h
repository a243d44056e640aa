#pragma once

#include <cstddef>

namespace sc::http {

// How many bytes the bodies and answers of all clients may take together. Clients that are not
// trusted leave a part of it to those that are. One thread.
class MemoryBudget {
 public:
  // `reserved` of `limit` is for trusted clients alone.
  MemoryBudget(std::size_t limit, std::size_t reserved)
      : limit_(limit), for_others_(limit - (reserved < limit ? reserved : limit)) {}

  bool has_room(bool is_trusted, std::size_t more) const {
    const auto fits = [more](std::size_t used, std::size_t most) {
      return used <= most && more <= most - used;
    };
    return fits(used_, limit_) && (is_trusted || fits(used_by_others_, for_others_));
  }

  // Counts what a client holds; also where there is no room, as for a part of an answer.
  void change(bool is_trusted, std::size_t before, std::size_t now) {
    used_ += now - before;
    if (!is_trusted) used_by_others_ += now - before;
  }

  std::size_t used() const { return used_; }

 private:
  const std::size_t limit_;
  const std::size_t for_others_;
  std::size_t used_ = 0;
  std::size_t used_by_others_ = 0;
};

}  // namespace sc::http
