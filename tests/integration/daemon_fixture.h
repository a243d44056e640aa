#pragma once

#include <atomic>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

#include "base/clock.h"
#include "daemon.h"
#include "http/client.h"
#include "relay/tcp_pair.h"

namespace sc::test {

// Ten ports in a row that nobody has at the moment; below the ephemeral ones, which would be taken by others'
// outgoing connections.
inline std::uint16_t find_ten_ports() {
  for (int first = 21'000 + ::getpid() % 500 * 10; first < 32'000; first += 10) {
    bool all_free = true;
    for (int i = 0; i < 10 && all_free; ++i)
      all_free = net::listen_tcp(net::Address::any_v4(static_cast<std::uint16_t>(first + i)), {})
                     .has_value();
    if (all_free) return static_cast<std::uint16_t>(first);
  }
  throw std::runtime_error("no ten free ports in a row");
}

struct StateFolder {
  StateFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "sc-test-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    path = name;
  }
  ~StateFolder() { std::filesystem::remove_all(path); }
  std::string path;
};

// The daemon on a thread of its own, with real sockets and a real database.
class RunningDaemon {
 public:
  RunningDaemon(const std::string& state, std::uint16_t first_port,
                std::chrono::milliseconds drain = std::chrono::seconds(5)) {
    DaemonOptions options;
    options.version = "test";
    config::Settings& settings = options.configuration.settings;
    settings.port_range = *core::PortRanges::parse(std::to_string(first_port) + "-" +
                                                   std::to_string(first_port + 9));
    settings.bind_address = "127.0.0.1";
    settings.bind_port = 0;
    settings.state_directory = state;
    settings.workers = 2;
    settings.drain_timeout = drain;
    auto made = Daemon::make(std::move(options), clock_);
    if (!made) throw std::runtime_error(made.error().message);
    daemon_ = std::move(*made);
    thread_ = std::thread([this] { daemon_->run(); });
  }
  ~RunningDaemon() { stop(); }

  void stop() {
    if (!thread_.joinable()) return;
    daemon_->request_stop();
    thread_.join();
    daemon_.reset();
  }
  Daemon& daemon() { return *daemon_; }

  std::uint16_t api_port() const { return daemon_->api_addresses().front().port(); }

 private:
  base::SystemClock clock_;
  std::unique_ptr<Daemon> daemon_;
  std::thread thread_;
};

}  // namespace sc::test
