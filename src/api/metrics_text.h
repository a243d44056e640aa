#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "core/histogram.h"

namespace sc::api {

enum class MetricsForm : unsigned char {
  prometheus,    // the text format 0.0.4, which everything reads
  open_metrics,  // OpenMetrics 1.0
};

std::string_view content_type_of(MetricsForm form);

enum class MetricType : unsigned char {
  counter,  // its samples' name ends in `_total`
  gauge,
  histogram,
  info,  // a gauge that is 1, for its labels; its sample's name ends in `_info`
};

struct MetricLabel {
  std::string_view name;
  std::string_view value;  // any text
};
using MetricLabels = std::initializer_list<MetricLabel>;

// The lines of one metric: what it is, and then its samples. A unit (`seconds`, `bytes`) is the
// name's end, before `_total`, and is told where the form has a line for it.
class MetricLines {
 public:
  // `name` without `_total` and `_info`.
  MetricLines(MetricsForm form, MetricType type, std::string_view name, std::string_view help);

  void add(MetricLabels labels, std::uint64_t value);
  void add(MetricLabels labels, double value);
  // One that nobody has counted for yet, without bounds, has no samples.
  void add(const core::Histogram& histogram);

  std::string take() { return std::move(text_); }

 private:
  void add_text(std::string_view suffix, MetricLabels labels, std::string_view value);

  std::string name_;  // of a sample
  std::string text_;
};

}  // namespace sc::api
