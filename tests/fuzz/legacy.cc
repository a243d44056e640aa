#include "api/legacy.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "api/routes.h"
#include "base/log.h"
#include "base/text.h"
#include "core/conductor.h"
#include "fuzz/require.h"
#include "support/fake_data_plane.h"
#include "support/fake_store.h"
#include "support/manual_clock.h"

// Lines of paths, asked for one after the other through the original's endpoints: what the
// conductor, the store and the data plane have stays the same in all three, and only what was asked
// for is changed.

using namespace sc;
using fuzz::require;

namespace {

constexpr std::size_t kMostPaths = 64;

using Mapped = std::map<std::uint16_t, core::StreamSpec>;

struct Host {
  Host() {
    base::log::set_level(base::log::Level::error);  // what is done is not news here
    conductor.boot({}, [](core::BootReport) {});
    store.answer_all();
    api::add_legacy_routes(routes, conductor);
  }

  void ask(std::string_view path) {
    http::Request request;
    request.method = "GET";
    request.target = request.path = std::string(path);
    request.headers = {{"Host", "localhost"}};
    request.peer = *net::Address::parse_ip("127.0.0.1", 1);
    routes.route(request, {"fuzz", core::Role::admin, {}}, http::Responder{});
    while (store.waiting() > 0 || !plane.closing.empty()) {
      store.answer_all();
      plane.finish_closing();
    }
  }

  Mapped mapped() const {
    Mapped all;
    for (const auto& [port, stream] : conductor.list()) all.emplace(port, stream.spec);
    return all;
  }

  void check_agreement() const {
    const Mapped all = mapped();
    require(plane.open == all, "what is mapped is open");
    require(store.rows.size() == all.size(), "what is mapped is stored");
    for (const auto& [port, spec] : all) {
      require(store.rows.contains(port) && store.rows.at(port).spec == spec,
              "what is stored is what is mapped");
      require(conductor.ports().contains(port), "a stream's port is in the range");
      const auto again = core::make_spec(std::to_string(port), base::to_string(spec.backend));
      require(again && *again == spec, "a stream prints as what makes the same one");
    }
  }

  test::ManualClock clock;
  test::FakeStore store;
  test::FakeDataPlane plane;
  core::Conductor conductor{
      core::ConductorOptions{*core::PortRanges::parse("9000-9003"), std::chrono::milliseconds{1}},
      store, plane, clock};
  api::Routes routes{http::plain_error};
};

// The decoded segments of a path; empty ones do not count.
std::vector<std::string> segments_of(std::string_view path) {
  std::vector<std::string> segments;
  while (!path.empty()) {
    path.remove_prefix(1);  // the slash
    const std::size_t end = std::min(path.find('/'), path.size());
    auto segment = base::percent_decode(path.substr(0, end));
    if (!segment) return {};
    if (!segment->empty()) segments.push_back(std::move(*segment));
    path.remove_prefix(end);
  }
  return segments;
}

// The rules of a create and a remove, said again in the plainest way.
Mapped expected_after(std::string_view path, Mapped mapped, const core::PortRanges& ports) {
  const auto segments = segments_of(path);
  if (segments.size() == 3 && segments[0] == "createstream") {
    const auto port = base::parse_port(segments[1]);
    const auto backend = base::parse_host_port(segments[2]);
    if (port && backend && ports.contains(*port))
      mapped.emplace(*port, core::StreamSpec{*port, *backend});
  } else if (segments.size() == 2 && segments[0] == "removestream") {
    if (const auto port = base::parse_port(segments[1])) mapped.erase(*port);
  }
  return mapped;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  Host host;
  for (std::size_t i = 0; i < kMostPaths && !text.empty(); ++i) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string path = "/" + std::string(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    const Mapped expected = expected_after(path, host.mapped(), host.conductor.ports());
    host.ask(path);
    require(host.mapped() == expected, "what is asked for is done, and nothing else");
    host.check_agreement();
  }
  return 0;
}
