#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

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
  // descriptor. in_use: the port is taken; invalid: the host has no such address; privilege: the
  // service lacks the privilege for the port; unavailable: the host gives no socket.
  virtual base::Result<base::Fd> prepare(const StreamSpec& spec) = 0;

  // Returns whether streams can listen at the IP address now. invalid: why not, as a clause: `is
  // not an address of this host`.
  virtual base::Result<void> check_address(const std::string& ip) const = 0;

  // Do the limits allow so many listeners more?
  virtual bool has_room(std::size_t listeners) const = 0;

  // Returns whether a connection to this backend would arrive at the listener of that stream, if it
  // is open. False for a backend that is a name.
  virtual bool takes(const StreamSpec& stream, const Backend& backend) const = 0;

  // What has the port on this host, as a clause: `nginx (pid 812) listens there`; empty when that
  // cannot be seen. Slow: reads /proc.
  virtual std::string owner_of(const StreamSpec& spec) const = 0;

  // From now on clients are accepted and carried. Of a released stream it is the new listener.
  virtual void activate(base::Fd listener, const Stream& stream) = 0;

  // Calls back once clients of the activated stream are accepted, perhaps at once. unavailable: no
  // worker accepts them yet; a worker that goes on later does.
  virtual void when_accepting(std::uint16_t port,
                              base::Callback<void(base::Result<void>)> on_done) = 0;

  // New sessions go by the new spec, running ones stay. Its listen_address is not looked at.
  virtual void change(const StreamSpec& spec) = 0;

  // Clients wait in the backlog until resume().
  virtual void pause(std::uint16_t port) = 0;
  virtual void resume(std::uint16_t port) = 0;

  // Closes the listener alone: the stream stays, and its sessions go on. on_free is called once the
  // port can be bound again; then activate() or close() follows.
  virtual void release(std::uint16_t port, base::Callback<void()> on_free) = 0;

  // Closes the listener, if it is there, and forgets the stream, if it is known; on_free is called
  // once the port can be bound again. Running sessions may end by themselves within `drain`, then
  // they are cut.
  virtual void close(std::uint16_t port, std::chrono::milliseconds drain,
                     base::Callback<void()> on_free) = 0;

  // What the stream at the port had carried in a former process, or nothing of a new one that is
  // not opened. Before it is opened, if it is.
  virtual void restore(std::uint16_t port, const Traffic& carried) = 0;

  // The stream at the port is gone: what it carried is not the next one's. Before it is closed, if
  // it is.
  virtual void forget(std::uint16_t port) = 0;

  // Of the stream at the port, open or not; of one that is gone as long as sessions of it run, and
  // there is no other. Else nothing but zeros.
  virtual Traffic traffic(std::uint16_t port) const = 0;
};

}  // namespace sc::core
