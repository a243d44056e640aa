#include "api/metrics.h"

#include <array>
#include <limits>
#include <string>

#include "support/catch.h"

namespace sc::test {
namespace {

using api::MetricLines;
using api::MetricsForm;
using api::MetricsPage;
using api::MetricType;

std::string lines_of(MetricsForm form, MetricType type, std::string_view name,
                     const std::function<void(MetricLines&)>& fill) {
  MetricLines lines(form, type, name, "Help.");
  fill(lines);
  return lines.take();
}

core::StreamView view(std::uint16_t port, core::StreamState state = core::StreamState::listening) {
  core::StreamView out;
  out.stream.spec.port = port;
  out.stream.state = state;
  return out;
}

bool has_line(const std::string& text, const std::string& line) {
  return ("\n" + text).find("\n" + line + "\n") != std::string::npos;
}

TEST_CASE("a label's value may be any text") {
  CHECK(
      lines_of(MetricsForm::prometheus, MetricType::gauge, "up",
               [](MetricLines& lines) {
                 lines.add({{"a", "\"x\\y\"\nz"}, {"b", "\xc3\xa9"}, {"c", ""}}, std::uint64_t{7});
               }) ==
      "# HELP up Help.\n# TYPE up gauge\n"
      "up{a=\"\\\"x\\\\y\\\"\\nz\",b=\"\xc3\xa9\",c=\"\"} 7\n");
}

TEST_CASE("numbers are as exact as they are") {
  const std::string text =
      lines_of(MetricsForm::prometheus, MetricType::gauge, "up", [](MetricLines& lines) {
        lines.add({}, std::numeric_limits<std::uint64_t>::max());
        for (const double each : {0.1, 0.0, 1795686019.183, 1e-9}) lines.add({}, each);
        lines.add({}, std::numeric_limits<double>::infinity());
        lines.add({}, std::numeric_limits<double>::quiet_NaN());
      });
  CHECK(text.substr(text.find("\nup")) ==
        "\nup 18446744073709551615\nup 0.1\nup 0\nup 1795686019.183\nup 1e-09\nup "
        "+Inf\nup NaN\n");
}

TEST_CASE("a histogram is cumulative, and its last bucket is all") {
  static constexpr std::array kBounds{0.0005, 1.0, 2.5};
  const core::Histogram counted{kBounds, {3, 0, 2, 4}, 17.25};
  CHECK(lines_of(MetricsForm::prometheus, MetricType::histogram, "took_seconds",
                 [&](MetricLines& lines) { lines.add(counted); }) ==
        "# HELP took_seconds Help.\n# TYPE took_seconds histogram\n"
        "took_seconds_bucket{le=\"0.0005\"} 3\n"
        "took_seconds_bucket{le=\"1.0\"} 3\n"
        "took_seconds_bucket{le=\"2.5\"} 5\n"
        "took_seconds_bucket{le=\"+Inf\"} 9\n"
        "took_seconds_sum 17.25\n"
        "took_seconds_count 9\n");
}

TEST_CASE("OpenMetrics describes families, with their units") {
  const auto counter = [](MetricLines& lines) { lines.add({}, std::uint64_t{1}); };
  CHECK(lines_of(MetricsForm::prometheus, MetricType::counter, "sent_bytes", counter) ==
        "# HELP sent_bytes_total Help.\n# TYPE sent_bytes_total counter\nsent_bytes_total 1\n");
  CHECK(lines_of(MetricsForm::open_metrics, MetricType::counter, "sent_bytes", counter) ==
        "# HELP sent_bytes Help.\n# TYPE sent_bytes counter\n# UNIT sent_bytes bytes\n"
        "sent_bytes_total 1\n");
  CHECK(lines_of(MetricsForm::prometheus, MetricType::info, "build", counter) ==
        "# HELP build_info Help.\n# TYPE build_info gauge\nbuild_info 1\n");
  CHECK(lines_of(MetricsForm::open_metrics, MetricType::info, "build", counter) ==
        "# HELP build Help.\n# TYPE build info\nbuild_info 1\n");
  CHECK(MetricsPage(MetricsForm::open_metrics).finish({}).ends_with("\n# EOF\n"));
  CHECK(MetricsPage(MetricsForm::prometheus).finish({}).find("# EOF") == std::string::npos);
}

TEST_CASE("a stream's sessions are told by reason, only those that occurred") {
  MetricsPage page(MetricsForm::prometheus);
  core::StreamView one = view(9000);
  one.traffic.sessions_active = 2;
  one.traffic.sessions_total = 9;
  one.traffic.bytes_in = 10;
  one.traffic.bytes_out = 20;
  one.traffic.ended[static_cast<std::size_t>(core::EndReason::finished)] = 4;
  one.traffic.ended[static_cast<std::size_t>(core::EndReason::backend_refused)] = 3;
  page.add(one, {});
  page.add(view(9001), {});
  const std::string text = page.finish({});
  const std::string prefix = "stream_conductor_";
  CHECK(has_line(text, prefix + "sessions_active{port=\"9000\"} 2"));
  CHECK(has_line(text, prefix + "sessions_active{port=\"9001\"} 0"));
  CHECK(has_line(text, prefix + "sessions_accepted_total{port=\"9000\"} 9"));
  CHECK(has_line(text, prefix + "relayed_bytes_total{port=\"9000\",direction=\"in\"} 10"));
  CHECK(has_line(text, prefix + "relayed_bytes_total{port=\"9000\",direction=\"out\"} 20"));
  const std::string ended = prefix + "sessions_ended_total{";
  CHECK(has_line(text, ended + "port=\"9000\",reason=\"finished\"} 4"));
  CHECK(has_line(text, ended + "port=\"9000\",reason=\"backend_refused\"} 3"));
  std::size_t lines = 0;
  for (std::size_t at = text.find(ended); at != std::string::npos; at = text.find(ended, at + 1))
    ++lines;
  CHECK(lines == 2);
}

TEST_CASE("counters of a stream begin with the process, whatever was restored") {
  MetricsPage page(MetricsForm::prometheus);
  constexpr auto kRefused = static_cast<std::size_t>(core::EndReason::backend_refused);
  core::StreamView one = view(9000);
  core::Traffic restored;
  restored.sessions_total = 100;
  restored.bytes_in = 1000;
  restored.bytes_out = 2000;
  restored.ended.fill(33);
  one.traffic = restored;
  one.traffic.sessions_active = 5;
  one.traffic.sessions_total += 7;
  one.traffic.bytes_in += 10;
  one.traffic.ended.at(kRefused) += 2;
  page.add(one, restored);
  const std::string text = page.finish({});
  const std::string prefix = "stream_conductor_";
  CHECK(has_line(text, prefix + "sessions_active{port=\"9000\"} 5"));
  CHECK(has_line(text, prefix + "sessions_accepted_total{port=\"9000\"} 7"));
  CHECK(has_line(text, prefix + "relayed_bytes_total{port=\"9000\",direction=\"in\"} 10"));
  CHECK(has_line(text, prefix + "relayed_bytes_total{port=\"9000\",direction=\"out\"} 0"));
  const std::string ended = prefix + "sessions_ended_total{port=\"9000\",reason=\"";
  CHECK(has_line(text, ended + "backend_refused\"} 2"));
  CHECK(text.find(ended + "finished") == std::string::npos);
}

TEST_CASE("ready is what readyz says") {
  struct Row {
    core::StreamState state;
    bool enabled;
    api::ServiceFacts::Phase phase;
    int ready;
  };
  using Phase = api::ServiceFacts::Phase;
  using State = core::StreamState;
  for (const Row& row :
       {Row{State::listening, true, Phase::serving, 1}, Row{State::failed, true, Phase::serving, 0},
        Row{State::disabled, false, Phase::serving, 1},
        Row{State::draining, true, Phase::serving, 1},  // it was removed
        Row{State::draining, true, Phase::draining, 0}}) {
    MetricsPage page(MetricsForm::prometheus);
    core::StreamView one = view(9000, row.state);
    one.stream.spec.enabled = row.enabled;
    page.add(one, {});
    api::ServiceMetrics service;
    service.facts.phase = row.phase;
    const std::string text = page.finish(service);
    CHECK(has_line(text, "stream_conductor_ready " + std::to_string(row.ready)));
    CHECK(has_line(
        text, "stream_conductor_streams{state=\"" + std::string(to_string(row.state)) + "\"} 1"));
  }
}

TEST_CASE("an unready condition of the service makes the ready metric 0") {
  MetricsPage page(MetricsForm::prometheus);
  api::ServiceMetrics service;
  service.facts.conditions = {{"database", "the disk is full", core::Readiness::unready, {}}};
  const std::string text = page.finish(service);
  CHECK(has_line(text, "stream_conductor_ready 0"));
  CHECK(has_line(text, "stream_conductor_degraded{component=\"database\"} 1"));
}

TEST_CASE("what the service knows of itself is told under its label") {
  api::ServiceMetrics service;
  service.facts.version = "1.2.3";
  service.facts.durability.not_durable = {{"store_refused", 5}};
  service.waits = {{"max_sessions", 6}, {"descriptors", 0}};
  service.waiting = {{"max_sessions", 2}, {"descriptors", 0}};
  service.api.slow_readers = 9;
  service.api.memory_bytes = 4096;
  service.api.memory_refusals = 6;
  service.api.watchers = 10;
  service.api.notes_missed = 11;
  service.workers = {{3, 0.5, 0.001, 1, 2}, {4, 0.25, 0, 0, 0}};
  service.api.answers = {{{{"GET", "/v1/streams/{port}"}, 200}, 7}, {{{}, 404}, 8}};
  service.process.most_descriptors = 1024;
  const std::string text = MetricsPage(MetricsForm::prometheus).finish(service);
  for (
      const char* line : {
          "stream_conductor_build_info{version=\"1.2.3\"} 1",
          "stream_conductor_sessions_not_kept_total{cause=\"store_refused\"} 5",
          "stream_conductor_admission_waits_total{limit=\"max_sessions\"} 6",
          "stream_conductor_admission_waits_total{limit=\"descriptors\"} 0",
          "stream_conductor_listeners_waiting{limit=\"max_sessions\"} 2",
          "stream_conductor_listeners_waiting{limit=\"descriptors\"} 0",
          "stream_conductor_api_slow_readers_total 9",
          "stream_conductor_api_memory_bytes 4096",
          "stream_conductor_api_memory_refusals_total 6",
          "stream_conductor_api_event_watchers 10",
          "stream_conductor_api_event_notes_missed_total 11",
          "stream_conductor_worker_sessions{worker=\"0\"} 3",
          "stream_conductor_worker_cpu_seconds_total{worker=\"1\"} 0.25",
          "stream_conductor_worker_loop_lag_seconds{worker=\"0\"} 0.001",
          "stream_conductor_worker_pipes{worker=\"0\",state=\"at_rest\"} 2",
          R"(stream_conductor_api_requests_total{method="GET",route="/v1/streams/{port}",code="200"} 7)",
          "stream_conductor_api_requests_total{method=\"any\",route=\"unmatched\",code=\"404\"} 8",
          "process_max_fds 1024",
      }) {
    INFO(text);
    CHECK(has_line(text, line));
  }
}

}  // namespace
}  // namespace sc::test
