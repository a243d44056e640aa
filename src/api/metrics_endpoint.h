#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "api/metrics.h"
#include "api/routes.h"
#include "api/v1_call.h"
#include "base/callback.h"
#include "core/conductor.h"

namespace sc::api {

struct MetricsServices {
  core::Conductor& conductor;
  // A scrape begins: what takes time to measure is begun.
  std::function<void()> begin;
  // Called in each of its turns: goes on measuring, and says whether all is.
  std::function<bool()> measure;
  std::function<ServiceMetrics()> read;
  // Of the traffic of the stream at the port, what former processes counted.
  std::function<core::Traffic(std::uint16_t port)> restored;
  // Calls the function in another turn of the loop; not any more when the endpoint has gone.
  std::function<void(base::Callback<void()>)> next_turn;
};

// GET /metrics. The text is made in parts over several turns of the loop, so that with thousands of
// streams no other request waits for it; one at a time, and whoever asks meanwhile gets the next
// one. Control thread only.
class MetricsEndpoint {
 public:
  // Streams in a turn.
  static constexpr std::size_t kSlice = 500;
  // Turns in which nothing but measuring is left; what has not been measured then is told as it is.
  static constexpr int kPatience = 25;

  explicit MetricsEndpoint(MetricsServices on) : on_(std::move(on)) {}
  MetricsEndpoint(const MetricsEndpoint&) = delete;
  MetricsEndpoint& operator=(const MetricsEndpoint&) = delete;

  void add_to(Routes& routes);

 private:
  struct Waiting {
    MetricsForm form;
    Reply reply;
  };
  struct Scrape {
    MetricsForm form;
    std::vector<Reply> replies;
    MetricsPage page;
    std::optional<std::uint16_t> next_port = 0;  // nothing: all streams are in the page
    int patience = kPatience;
  };

  void ask(MetricsForm form, Reply reply);
  void start_next();
  void step();
  bool add_slice();
  void finish();

  const MetricsServices on_;
  std::vector<Waiting> waiting_;
  std::optional<Scrape> scrape_;
};

}  // namespace sc::api
