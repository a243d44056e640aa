#pragma once

#include <cstddef>
#include <vector>

namespace sc::relay {

// Waits for one answer of each worker. Control thread only.
class RollCall {
 public:
  // `patience`: ticks after which the workers that have not answered are given up.
  void begin(std::size_t workers, unsigned patience) {
    is_missing_.assign(workers, true);
    left_ = workers;
    patience_ = patience;
  }
  bool is_open() const { return left_ > 0; }

  // True: that was the last answer. An answer that comes after a give_up() is ignored.
  bool note(std::size_t worker) {
    if (!is_open() || !is_missing_.at(worker)) return false;
    is_missing_[worker] = false;
    return --left_ == 0;
  }
  // True: patience is over; give_up() is due.
  bool tick() { return is_open() && (patience_ == 0 || --patience_ == 0); }
  // The workers that have not answered; none is waited for any more.
  std::vector<std::size_t> give_up() {
    std::vector<std::size_t> missing;
    for (std::size_t i = 0; i < is_missing_.size(); ++i)
      if (is_missing_[i]) missing.push_back(i);
    left_ = 0;
    return missing;
  }

 private:
  std::vector<bool> is_missing_;  // by worker
  std::size_t left_ = 0;
  unsigned patience_ = 0;
};

}  // namespace sc::relay
