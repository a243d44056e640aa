#include "api/metrics_text.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>

namespace sc::api {
namespace {

// What a number takes at most: the shortest form of a double is 24 characters long.
using Digits = std::array<char, 32>;

std::string_view print(Digits& digits, std::uint64_t value) {
  const auto done = std::to_chars(digits.data(), digits.data() + digits.size(), value);
  return {digits.data(), static_cast<std::size_t>(done.ptr - digits.data())};
}

// Both forms have their own words for what is no number.
std::string_view print(Digits& digits, double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  const auto done = std::to_chars(digits.data(), digits.data() + digits.size(), value);
  return {digits.data(), static_cast<std::size_t>(done.ptr - digits.data())};
}

// As %g prints it, with `1.0` for 1: OpenMetrics wants everybody to use the same text.
std::string bound_text(double bound) {
  Digits digits;
  const auto done = std::to_chars(digits.data(), digits.data() + digits.size(), bound,
                                  std::chars_format::general);
  std::string text(digits.data(), done.ptr);
  if (text.find_first_not_of("0123456789") == std::string::npos) text += ".0";
  return text;
}

void append_escaped(std::string& out, std::string_view value) {
  for (const char each : value) {
    if (each == '\\' || each == '"') out += '\\';
    if (each == '\n') {
      out += "\\n";
    } else {
      out += each;
    }
  }
}

std::string_view to_word(MetricsForm form, MetricType type) {
  switch (type) {
    case MetricType::counter:
      return "counter";
    case MetricType::gauge:
      return "gauge";
    case MetricType::histogram:
      return "histogram";
    case MetricType::info:
      return form == MetricsForm::open_metrics ? "info" : "gauge";
  }
  return "?";
}

std::string_view suffix_of(MetricType type) {
  if (type == MetricType::counter) return "_total";
  return type == MetricType::info ? "_info" : "";
}

}  // namespace

std::string_view content_type_of(MetricsForm form) {
  return form == MetricsForm::open_metrics
             ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
             : "text/plain; version=0.0.4; charset=utf-8";
}

MetricLines::MetricLines(MetricsForm form, MetricType type, std::string_view name,
                         std::string_view help)
    : name_(name) {
  name_ += suffix_of(type);
  // The older form describes samples, the newer one families of them.
  const std::string described(form == MetricsForm::open_metrics ? name : std::string_view(name_));
  text_ += "# HELP " + described + ' ';
  text_.append(help).append("\n# TYPE ").append(described).append(" ");
  text_.append(to_word(form, type)).append("\n");
  if (form != MetricsForm::open_metrics) return;
  for (const std::string_view unit : {"seconds", "bytes"})
    if (name.ends_with("_" + std::string(unit)))
      text_.append("# UNIT ").append(described).append(" ").append(unit).append("\n");
}

void MetricLines::add(MetricLabels labels, std::uint64_t value) {
  Digits digits;
  add_text("", labels, print(digits, value));
}

void MetricLines::add(MetricLabels labels, double value) {
  Digits digits;
  add_text("", labels, print(digits, value));
}

// Cumulative, as the forms want it: each bucket counts what is in those before it too.
void MetricLines::add(const core::Histogram& histogram) {
  if (histogram.counts.empty()) return;
  Digits digits;
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < histogram.counts.size(); ++i) {
    sum += histogram.counts[i];
    const std::string bound =
        i < histogram.bounds.size() ? bound_text(histogram.bounds[i]) : "+Inf";
    add_text("_bucket", {{"le", bound}}, print(digits, sum));
  }
  add_text("_sum", {}, print(digits, histogram.sum));
  add_text("_count", {}, print(digits, sum));
}

void MetricLines::add_text(std::string_view suffix, MetricLabels labels, std::string_view value) {
  text_.append(name_).append(suffix);
  const char* before = "{";
  for (const MetricLabel& label : labels) {
    text_.append(before).append(label.name).append("=\"");
    append_escaped(text_, label.value);
    text_ += '"';
    before = ",";
  }
  if (labels.size() > 0) text_ += '}';
  text_.append(" ").append(value).append("\n");
}

}  // namespace sc::api
