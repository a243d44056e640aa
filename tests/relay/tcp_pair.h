#pragma once

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"
#include "net/socket.h"

namespace sc::test {

// A TCP connection over loopback, both ends in this process: `near` for the code under test, `far`
// for the test. Both non-blocking, so that one thread can play both sides.
struct TcpPair {
  base::Fd near;
  base::Fd far;
};

inline void wait_for(int fd, short events) {
  pollfd waiting{fd, events, 0};
  if (::poll(&waiting, 1, 10'000) != 1)
    throw std::runtime_error("no event on a socket within 10 s");
}

// Until so many have arrived and wait to be read (socket(7): SO_RCVLOWAT).
inline void wait_for_bytes(const base::Fd& socket, std::size_t size) {
  for (const int least : {static_cast<int>(size), 1}) {
    ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVLOWAT, &least, sizeof least);
    wait_for(socket.get(), POLLIN);
  }
}

inline net::Accepted accept_one(int listener) {
  wait_for(listener, POLLIN);
  auto result = net::accept(listener);
  if (result.error != 0) throw std::runtime_error("accept failed");
  return std::move(result.accepted);
}

inline base::Fd connect_to(std::uint16_t port) {
  auto fd = net::start_connect(*net::Address::parse_ip("127.0.0.1", port));
  if (!fd) throw std::runtime_error(base::describe_errno("connect", fd.error().number));
  wait_for(fd->get(), POLLOUT);
  if (const int error = net::take_error(fd->get()); error != 0)
    throw std::runtime_error(base::describe_errno("connect", error));
  return std::move(*fd);
}

inline base::Fd listen_on_loopback() {
  auto fd = net::listen_tcp(*net::Address::parse_ip("127.0.0.1", 0), {});
  if (!fd) throw std::runtime_error(fd.error().message);
  return std::move(*fd);
}

inline std::uint16_t port_of(const base::Fd& socket) {
  return net::local_address(socket.get()).port();
}

inline TcpPair make_tcp_pair() {
  const base::Fd listener = listen_on_loopback();
  base::Fd far = connect_to(port_of(listener));
  return {accept_one(listener.get()).fd, std::move(far)};
}

// A client of a stream, and what the stream's backend has of it.
struct Carried {
  base::Fd client;
  base::Fd backend;
};

inline Carried connect_through(std::uint16_t port, const base::Fd& backend) {
  base::Fd client = connect_to(port);
  base::Fd accepted = accept_one(backend.get()).fd;
  return {std::move(client), std::move(accepted)};
}

// What the kernel takes at once, perhaps nothing.
inline std::size_t send_some(const base::Fd& to, std::string_view bytes) {
  const ssize_t sent = ::send(to.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN) throw std::runtime_error(base::describe_errno("send", errno));
  return sent < 0 ? 0 : static_cast<std::size_t>(sent);
}

inline void send_all(const base::Fd& to, std::string_view bytes) {
  while (!bytes.empty()) {
    wait_for(to.get(), POLLOUT);
    bytes.remove_prefix(send_some(to, bytes));
  }
}

struct Received {
  std::string bytes;
  bool ended = false;  // in order
  bool reset = false;
};

// What is there by now, without waiting.
inline Received receive_some(const base::Fd& from) {
  Received received;
  std::string chunk(256 * 1024, '\0');
  while (true) {
    const ssize_t got = ::recv(from.get(), chunk.data(), chunk.size(), 0);
    if (got > 0) {
      received.bytes.append(chunk, 0, static_cast<std::size_t>(got));
      continue;
    }
    received.ended = got == 0;
    received.reset = got < 0 && errno == ECONNRESET;
    return received;
  }
}

// A word each way.
inline bool talks(const Carried& pair) {
  send_all(pair.client, "hello");
  wait_for(pair.backend.get(), POLLIN);
  if (receive_some(pair.backend).bytes != "hello") return false;
  send_all(pair.backend, "bye");
  wait_for(pair.client.get(), POLLIN);
  return receive_some(pair.client).bytes == "bye";
}

// The kernel would let a buffer grow to 32 MiB (tcp(7): tcp_rmem).
inline void keep_buffers_small(const base::Fd& socket) {
  const int size = 128 * 1024;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
}

// Bytes in which a lost, doubled or moved one shows: each 8 hold their own place.
inline std::string pattern(std::size_t size) {
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i + 8 <= size; i += 8) std::memcpy(&bytes[i], &i, 8);
  return bytes;
}

inline void end_writes(const base::Fd& fd) { ::shutdown(fd.get(), SHUT_WR); }

inline void reset(base::Fd& fd) {
  net::reset_on_close(fd.get());
  fd.reset();
}

// Waits for the kernel to have delivered a reset or an end to this socket.
inline void wait_for_hangup(int fd) { wait_for(fd, POLLIN); }

}  // namespace sc::test
