#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "api/json_input.h"
#include "api/json_output.h"
#include "core/ledger.h"
#include "fuzz/require.h"

// A body, read as a whole stream, as a patch, and as a list. What is read prints as what reads as
// the same.

using namespace sc;
using fuzz::require;

namespace {

constexpr std::uint16_t kPort = 9000;
constexpr base::WallTime kNow{std::chrono::milliseconds{1'793'541'780'000}};

void check_same_again(const core::StreamSpec& spec) {
  core::StreamView view;
  view.stream.spec = spec;
  view.stream.created_at = view.stream.updated_at = kNow;
  const auto again = api::read_stream(api::stream_json(view), spec.port, {kNow, {}});
  require(again.has_value(), "what is printed can be read");
  require(*again == spec, "and says the same");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  if (const auto spec = api::read_stream(body, kPort, {kNow, {}})) {
    require(spec->port == kPort, "the path names the stream");
    // Only what a stream may be is ever printed.
    if (core::validate(*spec)) check_same_again(*spec);
  }
  if (const auto patch = api::read_patch(body, kPort, {kNow, {}})) {
    core::StreamSpec before;
    before.port = kPort;
    before.backend = {"a", 1};
    const core::StreamSpec after = patch->applied_to(before);
    require(after.port == kPort, "a patch moves no stream to another port");
    require(patch->applied_to(after) == after, "a patch twice is a patch once");
  }
  if (const auto list = api::read_stream_list(body, {kNow, {}})) {
    for (const core::StreamSpec& spec : *list) require(spec.port != 0, "each has a port");
  }
  return 0;
}
