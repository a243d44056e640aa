#include "import_command.h"

#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/text.h"
#include "config/import_directory.h"
#include "core/stream.h"
#include "folder_owner.h"
#include "store/sqlite_store.h"
#include "store/stored_streams.h"

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

// The database that the streams go to.
class Database {
 public:
  explicit Database(std::string file) : file_(std::move(file)) {}

  // Its streams, by port. open() makes the database if it is missing, look() changes nothing.
  base::Result<Streams> open() {
    // Asks for nothing that is answered later.
    auto store = store::SqliteStore::open(file_, [](const base::Callback<void()>&) {});
    if (!store) return store.error();
    store_ = std::move(*store);
    return by_port(store_->load_now());
  }
  base::Result<Streams> look() const { return by_port(store::read_stored_streams(file_)); }

  base::Result<void> commit(std::vector<core::StoreWrite> writes) {
    return store_->commit_now(std::move(writes));
  }

 private:
  static base::Result<Streams> by_port(const base::Result<core::StoredStreams>& stored) {
    if (!stored) return stored.error();
    Streams out;
    for (const core::Stream& stream : stored->streams) out.emplace(stream.spec.port, stream);
    return out;
  }

  const std::string file_;
  std::unique_ptr<store::SqliteStore> store_;
};

// The stream as the report shows it.
std::string to_text(const core::StreamSpec& spec) {
  std::string out = std::to_string(spec.port) + " -> " + base::to_string(spec.backend);
  if (!spec.listen_address.empty()) out += ", listen_address " + spec.listen_address;
  if (spec.idle_timeout) out += ", idle_timeout " + base::format_duration(*spec.idle_timeout);
  if (spec.connect_timeout)
    out += ", connect_timeout " + base::format_duration(*spec.connect_timeout);
  return out;
}

// nginx ends a session after 10 minutes without data; here sessions may be idle for ever.
void note_idle_default(const std::vector<core::StoreWrite>& writes,
                       const config::Settings& settings) {
  if (settings.idle_timeout.count() != 0) return;
  std::size_t without = 0;
  for (const core::StoreWrite& write : writes)
    if (const auto* added = std::get_if<core::AddStream>(&write))
      without += added->stream.spec.idle_timeout ? 0 : 1;
  if (without == 0) return;
  std::printf(
      "note: %zu streams set no proxy_timeout. nginx ends a session after 10m without data, this "
      "service does not. To keep that limit, set IDLE_TIMEOUT=10m or each stream's idle_timeout.\n",
      without);
}

// Adds the writes that create the streams to `writes` and prints a line for each; what cannot be
// taken goes to the remarks of `found`. Returns the number of streams.
std::size_t take(config::ImportedStreams& found, const config::Settings& settings,
                 const Streams& present, base::WallTime now,
                 std::vector<core::StoreWrite>& writes) {
  std::size_t taken = 0;
  for (const config::ImportedStream& imported : found.streams) {
    const std::string text = to_text(imported.spec);
    if (is_known(imported.spec, present)) {
      found.ignored.push_back({imported.file, imported.line, text, "is in the database already"});
      continue;
    }
    if (const std::string fault = fault_of(imported.spec, settings, present); !fault.empty()) {
      found.rejected.push_back({imported.file, imported.line, text, fault});
      continue;
    }
    core::Stream stream;
    stream.spec = imported.spec;
    stream.created_at = stream.updated_at = now;
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
  return taken;
}

}  // namespace

int import_streams(const config::Import& import, const base::Clock& clock) {
  const config::Settings& settings = import.configuration.settings;
  auto found = config::read_import_directory(import.directory, import.prefix);
  if (!found) return fail(found.error().message);
  // After that, as the folder's owner may not be allowed to read those files.
  if (auto became = become_owner_of(settings.state_directory); !became)
    return fail(became.error().message);
  Database database(settings.state_directory + "/stream-conductor.db");
  auto present = import.dry_run ? database.look() : database.open();
  // A dry run reports what it read even if no database is there.
  const bool is_missing =
      import.dry_run && !present && present.error().code == base::Errc::not_found;
  if (!present && !is_missing) return fail(present.error().message);

  std::vector<core::StoreWrite> writes;
  const std::size_t taken =
      take(*found, settings, present ? *present : Streams{}, clock.wall(), writes);
  for (const auto& remark : found->ignored) print_remark("ignored", remark);
  for (const auto& remark : found->rejected) print_remark("not taken", remark);
  note_idle_default(writes, settings);
  if (!import.dry_run && !writes.empty())
    if (auto saved = database.commit(std::move(writes)); !saved)
      return fail("nothing was imported: " + saved.error().message);
  std::printf("%zu streams %s, %zu lines not taken\n", taken,
              import.dry_run ? "would be imported" : "imported", found->rejected.size());
  if (is_missing) return fail(present.error().message);
  return found->rejected.empty() ? config::kExitDone : kExitFailed;
}

}  // namespace sc
