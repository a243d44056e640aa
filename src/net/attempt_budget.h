#pragma once

namespace sc::net {

// Allows descriptors for attempts that run beside another one of the same dial. Any thread.
class AttemptBudget {
 public:
  virtual ~AttemptBudget() = default;

  virtual bool take_attempt() = 0;
  virtual void give_attempt() = 0;
};

}  // namespace sc::net
