#pragma once

namespace sc::net {

// Allows descriptors for attempts that run while another one of the same dial runs. Any thread.
class AttemptBudget {
 public:
  virtual ~AttemptBudget() = default;

  virtual bool take_attempt() = 0;
  virtual void give_attempt() = 0;
};

}  // namespace sc::net
