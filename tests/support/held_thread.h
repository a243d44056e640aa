#pragma once

#include <future>

#include "base/callback.h"

namespace sc::test {

// Keeps a thread of the store in a job until the promise is set. `run` gives the thread the job.
// Returns once the job has begun.
template <class Store>
std::promise<void> hold_thread(Store& store, void (Store::*run)(base::Callback<void()>)) {
  std::promise<void> gate;
  std::promise<void> reached;
  (store.*run)([&reached, open = gate.get_future()]() mutable {
    reached.set_value();
    open.wait();
  });
  reached.get_future().wait();
  return gate;
}

}  // namespace sc::test
