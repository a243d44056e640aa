#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/fd.h"

// The other side of what is tested, scripted: made of plain system calls, so that it does not share
// a fault with src/net. Every call that waits gives up after kPeerDeadline; it and every failed
// system call throw std::runtime_error, which fails the test with the reason.
namespace sc::test {

inline constexpr std::chrono::seconds kPeerDeadline{10};

// One end of a TCP connection. Any thread, one at a time.
class TcpPeer {
 public:
  // `ip` is a literal, IPv4 or IPv6.
  static TcpPeer connect(std::uint16_t port, const std::string& ip = "127.0.0.1");
  // Takes a connected stream socket and makes it non-blocking.
  explicit TcpPeer(base::Fd connected);

  void send_all(std::string_view bytes);
  // Exactly so many; an end or a reset before that throws.
  std::string receive(std::size_t size);
  // What comes until the orderly end; a reset throws.
  std::string receive_until_end();
  // Waits for the connection's end, dropping what comes before it: was it a reset?
  bool got_reset();

  void half_close();  // no more bytes from here
  void close();
  void reset();  // SO_LINGER 0 and close

  int fd() const { return fd_.get(); }
  base::Fd release() { return std::move(fd_); }
  std::uint16_t port() const;  // this end's

 private:
  base::Fd fd_;
};

// A listening socket on loopback. Any thread, one at a time.
class TcpListener {
 public:
  // Port 0: one that is free. The kernel lets `backlog` + 1 connections wait.
  explicit TcpListener(const std::string& ip = "127.0.0.1", std::uint16_t port = 0,
                       int backlog = 128);

  TcpPeer accept();
  // Does somebody wait to be accepted?
  bool has_client() const;
  void close() { fd_.reset(); }

  std::uint16_t port() const { return port_; }
  int fd() const { return fd_.get(); }

 private:
  base::Fd fd_;
  std::uint16_t port_ = 0;
};

// A port of 127.0.0.1 that refuses: bound, so that nobody else gets it, but not listened on.
class ClosedPort {
 public:
  ClosedPort();
  std::uint16_t port() const { return port_; }

 private:
  base::Fd fd_;
  std::uint16_t port_ = 0;
};

// A port that was free a moment ago; for a test that binds it by itself.
std::uint16_t unused_port();

}  // namespace sc::test
