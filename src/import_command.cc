#include "import_command.h"

#include <cstdio>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/text.h"
#include "config/import_directory.h"
#include "core/stream.h"
#include "store/sqlite_store.h"

namespace sc {
namespace {

constexpr const char* kActor = "import";
constexpr int kExitFailed = 1;

void print_remark(const char* what, const config::ImportRemark& remark) {
  const std::string place =
      remark.line > 0 ? remark.file + ":" + std::to_string(remark.line) : remark.file;
  std::printf("%s: %s: %s: %s\n", what, place.c_str(), base::quoted(remark.text).c_str(),
              remark.why.c_str());
}

int fail(const std::string& why) {
  std::fprintf(stderr, "stream-conductor import: %s\n", why.c_str());
  return kExitFailed;
}

using Streams = std::map<std::uint16_t, core::Stream>;

bool is_known(const core::StreamSpec& spec, const Streams& present) {
  const auto known = present.find(spec.port);
  return known != present.end() && known->second.spec == spec;
}

// Why the stream cannot be taken beside what the database and the settings say; empty: it can.
std::string fault_of(const core::StreamSpec& spec, const config::Settings& settings,
                     const Streams& present) {
  if (auto in_range = core::check_in_range(spec.port, settings.port_range); !in_range)
    return in_range.error().message;
  const auto known = present.find(spec.port);
  if (known == present.end()) return "";
  return "the port has a stream to " + base::to_string(known->second.spec.backend) + " already";
}

}  // namespace

int import_streams(const config::Import& import, const base::Clock& clock) {
  const config::Settings& settings = import.configuration.settings;
  auto found = config::read_import_directory(import.directory, import.prefix);
  if (!found) return fail(found.error().message);
  // Nobody asks anything that is answered later.
  auto store = store::SqliteStore::open(settings.state_directory + "/stream-conductor.db",
                                        [](const base::Callback<void()>&) {});
  if (!store) return fail(store.error().message);
  auto stored = (*store)->load_now();
  if (!stored) return fail(stored.error().message);
  Streams present;
  for (core::Stream& stream : stored->streams) present.emplace(stream.spec.port, stream);

  std::vector<core::StoreWrite> writes;
  std::size_t taken = 0;
  for (const config::ImportedStream& imported : found->streams) {
    const std::string text =
        std::to_string(imported.spec.port) + " -> " + base::to_string(imported.spec.backend);
    if (is_known(imported.spec, present)) {
      found->ignored.push_back({imported.file, imported.line, text, "is in the database already"});
      continue;
    }
    if (const std::string fault = fault_of(imported.spec, settings, present); !fault.empty()) {
      found->rejected.push_back({imported.file, imported.line, text, fault});
      continue;
    }
    core::Stream stream;
    stream.spec = imported.spec;
    stream.created_at = stream.updated_at = clock.wall();
    stream.created_by = kActor;
    core::Event event;
    event.at = stream.created_at;
    event.action = core::EventAction::created;
    event.port = imported.spec.port;
    event.actor.name = kActor;
    event.spec = stream.spec;
    event.revision = stream.revision;
    event.backend_after = base::to_string(imported.spec.backend);
    event.detail = imported.file;
    writes.emplace_back(core::AddStream{std::move(stream)});
    writes.emplace_back(core::AppendEvent{std::move(event)});
    std::printf("taken: %s:%u: %s\n", imported.file.c_str(), imported.line, text.c_str());
    ++taken;
  }
  for (const auto& remark : found->ignored) print_remark("ignored", remark);
  for (const auto& remark : found->rejected) print_remark("not taken", remark);
  if (!import.dry_run && !writes.empty())
    if (auto saved = (*store)->commit_now(std::move(writes)); !saved)
      return fail("nothing was imported: " + saved.error().message);
  std::printf("%zu streams %s, %zu lines not taken\n", taken,
              import.dry_run ? "would be imported" : "imported", found->rejected.size());
  return found->rejected.empty() ? config::kExitDone : kExitFailed;
}

}  // namespace sc
