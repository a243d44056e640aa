#pragma once

#include <unistd.h>

#include <cstdlib>
#include <future>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>

#include "base/clock.h"
#include "daemon.h"
#include "relay/tcp_pair.h"
#include "support/temp_dir.h"

namespace sc::test {

// Ten ports in a row that nobody has at the moment. Below the ephemeral ones, which any outgoing
// connection may take.
inline std::uint16_t find_ten_ports() {
  const auto is_free = [](int port) {
    return net::listen_tcp(net::Address::any_v4(static_cast<std::uint16_t>(port)), {}).has_value();
  };
  for (int first = 20'000 + ::getpid() % 1000 * 10; first < 32'000; first += 10) {
    int free_ports = 0;
    while (free_ports < 10 && is_free(first + free_ports)) ++free_ports;
    if (free_ports == 10) return static_cast<std::uint16_t>(first);
  }
  throw std::runtime_error("no ten free ports in a row");
}

struct Reply {
  int status = 0;
  std::string head;
  std::string body;
};

// The daemon on a thread of its own, with real sockets and a real database.
class RunningDaemon {
 public:
  RunningDaemon(const TempDir& state, std::uint16_t first_port,
                std::chrono::milliseconds drain = std::chrono::seconds(5)) {
    DaemonOptions options;
    options.version = "test";
    config::Settings& settings = options.configuration.settings;
    settings.port_range =
        *core::PortRanges::parse(std::to_string(first_port) + "-" + std::to_string(first_port + 9));
    settings.bind_address = "127.0.0.1";
    settings.bind_port = 0;
    settings.state_directory = state.path().string();
    settings.workers = 2;
    settings.drain_timeout = drain;
    settings.log_level = base::log::Level::error;
    auto made = Daemon::make(std::move(options), clock_);
    if (!made) throw std::runtime_error(made.error().message);
    daemon_ = std::move(*made);
    api_port_ = daemon_->api_addresses().front().port();
    thread_ = std::thread([this] {
      if (auto served = daemon_->run(); !served) std::abort();
    });
  }
  RunningDaemon(const RunningDaemon&) = delete;
  RunningDaemon& operator=(const RunningDaemon&) = delete;
  ~RunningDaemon() {
    if (thread_.joinable()) stop();
  }

  void request_stop() { daemon_->request_stop(); }
  void stop() {
    daemon_->request_stop();
    wait_for_end();
  }
  void wait_for_end() {
    thread_.join();
    daemon_.reset();
  }

  bool api_accepts() const {
    try {
      connect_to(api_port_);
      return true;
    } catch (const std::runtime_error&) {
      return false;
    }
  }
  // The store's thread does nothing from now on until the promise is kept, or gone.
  [[nodiscard]] std::promise<void> hold_store() {
    std::promise<void> gate;
    std::promise<void> reached;
    daemon_->store().run([&reached, open = gate.get_future()]() mutable {
      reached.set_value();
      open.wait();
    });
    reached.get_future().wait();
    return gate;
  }

  // One request on a connection of its own; nobody is answered before the streams are open.
  Reply request(const std::string& method, const std::string& target,
                const std::string& headers = "") const {
    const base::Fd fd = connect_to(api_port_);
    send_all(fd, method + " " + target + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" +
                     headers + "\r\n");
    std::string all;
    while (true) {
      wait_for(fd.get(), POLLIN);
      const Received part = receive_some(fd);
      all += part.bytes;
      if (part.ended || part.reset) break;
    }
    Reply reply;
    const std::size_t end = all.find("\r\n\r\n");
    if (end == std::string::npos) throw std::runtime_error("no HTTP reply: " + all);
    reply.status = std::atoi(all.substr(9, 3).c_str());
    reply.head = all.substr(0, end + 2);
    reply.body = all.substr(end + 4);
    return reply;
  }
  Reply get(const std::string& target) const { return request("GET", target); }

 private:
  base::SystemClock clock_;
  std::unique_ptr<Daemon> daemon_;
  std::uint16_t api_port_ = 0;
  std::thread thread_;
};

// A daemon with ten ports, and one backend for all of its streams.
struct DaemonFixture {
  std::uint16_t first = find_ten_ports();
  TempDir state;
  base::Fd backend = listen_on_loopback();
  std::optional<RunningDaemon> daemon;

  explicit DaemonFixture(std::chrono::milliseconds drain = std::chrono::seconds(5)) {
    daemon.emplace(state, first, drain);
  }

  std::string create(int port) const {
    const Reply reply = daemon->get("/createstream/" + std::to_string(port) +
                                    "/127.0.0.1:" + std::to_string(port_of(backend)));
    return nlohmann::json::parse(reply.body)["result"];
  }
  void restart() {
    daemon.reset();
    daemon.emplace(state, first);
  }

  using Pair = Carried;
  Pair connect(std::uint16_t port) const { return connect_through(port, backend); }
};

}  // namespace sc::test
