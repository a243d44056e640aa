#pragma once

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/data_plane.h"

namespace sc::test {

// A DataPlane that keeps a list of what it was asked and of the ports that are open.
class FakeDataPlane final : public core::DataPlane {
 public:
  base::Result<base::Fd> prepare(const core::StreamSpec& spec) override {
    if (spec.listen_address == kForeignAddress)
      return base::Error{base::Errc::invalid, "the host has no such address"};
    if (privileged.contains(spec.port))
      return base::Error{base::Errc::privilege,
                         "port " + std::to_string(spec.port) + " needs a privilege"};
    if (taken.contains(spec.port) || open.contains(spec.port))
      return base::Error{base::Errc::in_use,
                         "port " + std::to_string(spec.port) + " is in use by somebody else"};
    // As with the kernel, one that is prepared already and not closed is in the way.
    if (const auto held = bound.find(spec.port);
        spec.port != 0 && held != bound.end() && is_held(held->second))
      return base::Error{base::Errc::in_use,
                         "port " + std::to_string(spec.port) + " is in use by ourselves"};
    ++prepared;
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return base::Error{};
    bound.insert_or_assign(spec.port, base::Fd(ends[1]));
    return base::Fd(ends[0]);
  }
  base::Result<void> check_address(const std::string& ip) const override {
    if (ip == kForeignAddress && !loses_address)
      return base::Error{base::Errc::invalid, "is not an address of this host"};
    return {};
  }
  bool has_room(std::size_t count) const override { return count <= room; }
  // This host has 127.0.0.1 alone.
  bool takes(const core::StreamSpec& stream, const core::Backend& backend) const override {
    const bool is_listening_there =
        stream.listen_address.empty() || stream.listen_address == backend.host;
    return backend.host == "127.0.0.1" && backend.port == stream.port && is_listening_there;
  }
  std::string owner_of(const core::StreamSpec& spec) const override {
    return taken.contains(spec.port) ? "nginx (pid 812) listens there" : "";
  }
  void activate(base::Fd listener, const core::Stream& stream) override {
    const core::StreamSpec& spec = stream.spec;
    calls.push_back("activate " + std::to_string(spec.port));
    open.emplace(spec.port, spec);
    listeners.emplace(spec.port, std::move(listener));
  }
  void when_accepting(std::uint16_t port,
                      base::Callback<void(base::Result<void>)> on_done) override {
    if (!accepts_late) return on_done({});
    accepting.emplace_back(port, std::move(on_done));
  }
  void change(const core::StreamSpec& spec) override {
    calls.push_back("change " + std::to_string(spec.port));
    open.at(spec.port) = spec;
  }
  void pause(std::uint16_t port) override { calls.push_back("pause " + std::to_string(port)); }
  void resume(std::uint16_t port) override { calls.push_back("resume " + std::to_string(port)); }
  void release(std::uint16_t port, base::Callback<void()> on_free) override {
    calls.push_back("release " + std::to_string(port));
    closing.emplace_back(port, std::move(on_free));
  }
  void restore(std::uint16_t port, const core::Traffic& traffic) override {
    carried.insert_or_assign(port, traffic);
  }
  void forget(std::uint16_t port) override { forgotten.push_back(port); }
  core::Traffic traffic(std::uint16_t port) const override {
    const auto found = carried.find(port);
    return found == carried.end() ? core::Traffic{} : found->second;
  }
  void close(std::uint16_t port, std::chrono::milliseconds drain,
             base::Callback<void()> on_free) override {
    calls.push_back("close " + std::to_string(port));
    last_drain = drain;
    if (!open.contains(port)) return on_free();
    closing.emplace_back(port, std::move(on_free));
  }

  // The ports asked to close are free now.
  void finish_closing() {
    for (auto& [port, on_free] : std::exchange(closing, {})) {
      open.erase(port);
      listeners.erase(port);
      on_free();
    }
  }

  // The workers accept clients of what was activated, or do not answer.
  void answer_accepting(const base::Result<void>& result) {
    for (auto& [port, on_done] : std::exchange(accepting, {})) on_done(result);
  }

  bool accepts_late = false;  // answer_accepting() follows
  std::vector<std::pair<std::uint16_t, base::Callback<void(base::Result<void>)>>> accepting;
  static constexpr const char* kForeignAddress = "192.0.2.1";
  bool loses_address = false;  // the host had it when it was asked for, and has it no more
  // Of each port that was prepared, the other end of what was given out.
  std::map<std::uint16_t, base::Fd> bound;
  static bool is_held(const base::Fd& other_end) {
    pollfd asked{other_end.get(), 0, 0};
    return ::poll(&asked, 1, 0) == 0;  // POLLERR: nobody has it any more
  }
  std::set<std::uint16_t> taken;  // by another program
  std::set<std::uint16_t> privileged;
  std::map<std::uint16_t, core::Traffic> carried;
  std::vector<std::uint16_t> forgotten;
  std::map<std::uint16_t, core::StreamSpec> open;
  std::map<std::uint16_t, base::Fd> listeners;
  std::vector<std::string> calls;
  std::chrono::milliseconds last_drain{0};
  int prepared = 0;
  std::size_t room = 1000;  // for listeners
  std::vector<std::pair<std::uint16_t, base::Callback<void()>>> closing;
};

}  // namespace sc::test
