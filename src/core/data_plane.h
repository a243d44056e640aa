#pragma once

#include <chrono>
#include <cstdint>

#include "base/callback.h"
#include "base/fd.h"
#include "base/result.h"
#include "core/stream.h"

namespace sc::core {

// What carries the bytes. Called from the control thread; its answers come there too.
class DataPlane {
 public:
  virtual ~DataPlane() = default;

  // Binds and listens, accepts nobody: early clients wait in the backlog. Undone by closing the
  // descriptor. conflict: the port is taken; forbidden: it needs a privilege.
  virtual base::Result<base::Fd> prepare(std::uint16_t port) = 0;

  // From now on clients are accepted and carried.
  virtual void activate(base::Fd listener, const StreamSpec& spec) = 0;

  // New sessions go to the new backend, running ones stay.
  virtual void change(const StreamSpec& spec) = 0;

  // Clients wait in the backlog until resume().
  virtual void pause(std::uint16_t port) = 0;
  virtual void resume(std::uint16_t port) = 0;

  // Closes the listener; on_free is called once the port can be bound again. Running sessions may
  // end by themselves within `drain`, then they are cut.
  virtual void close(std::uint16_t port, std::chrono::milliseconds drain,
                     base::Callback<void()> on_free) = 0;
};

}  // namespace sc::core
