#include "import_command.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/text.h"
#include "config/import_directory.h"
#include "core/same_host.h"
#include "core/stream.h"
#include "folder_owner.h"
#include "net/address.h"
#include "net/socket.h"
#include "store/sqlite_store.h"
#include "store/stored_streams.h"

namespace sc {
namespace {

constexpr const char* kActor = "import";
constexpr int kExitFailed = 1;
constexpr std::chrono::milliseconds kConnectDefaultOfNginx = std::chrono::seconds(60);

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

std::string text_of(const std::optional<std::chrono::milliseconds>& timeout) {
  return timeout ? base::format_duration(*timeout) : "not set";
}

// What the stream at the port means for the imported one: not taken if it forwards or listens
// elsewhere, or else known, with the timeouts that differ. `why` is the remark.
struct Comparison {
  bool is_known = false;
  std::string why;
};
Comparison compare(const core::StreamSpec& imported, const core::StreamSpec& present) {
  if (!core::is_same_backend(imported.backend, present.backend))
    return {false, "the port has a stream to " + base::to_string(present.backend) + " already"};
  if (!core::is_same_host(imported.listen_address, present.listen_address))
    return {false, "the port has a stream to this backend already, which listens on " +
                       (present.listen_address.empty() ? "what STREAM_ADDRESS gives"
                                                       : present.listen_address)};
  std::string differs;
  const auto look = [&](const char* field, const auto& here, const auto& there) {
    if (here == there) return;
    differs += differs.empty() ? "; it stays as it is there: " : ", ";
    differs += std::string(field) + " " + text_of(there);
  };
  look("idle_timeout", imported.idle_timeout, present.idle_timeout);
  look("connect_timeout", imported.connect_timeout, present.connect_timeout);
  return {true, "is in the database already" + differs};
}

// Why the stream cannot be taken beside what the settings and this host say; empty: it can.
std::string fault_of(const core::StreamSpec& spec, const config::Settings& settings) {
  if (auto in_range = core::check_in_range(spec.port, settings.port_range); !in_range)
    return in_range.error().message;
  const auto address = net::Address::parse_ip(spec.listen_address, 0);
  return address && net::is_broadcast(*address)
             ? spec.listen_address + " is a broadcast address, which TCP cannot connect to"
             : "";
}

// Says that a stream will not open where its address is not this host's now.
void note_foreign_address(const config::ImportedStream& imported) {
  const std::string& ip = imported.spec.listen_address;
  if (ip.empty()) return;
  const auto address = net::Address::parse_ip(ip, 0);
  const auto own = address ? net::check_own_address(*address) : address.error();
  if (!own)
    std::printf("note: %s:%u: %s: %s; the stream is failed until it is one\n",
                imported.file.c_str(), imported.line, ip.c_str(), own.error().message.c_str());
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

// `1 stream`, `2 streams`.
std::string count_of(std::size_t count, const std::string& thing) {
  return std::to_string(count) + " " + thing + (count == 1 ? "" : "s");
}

// Says where the defaults of nginx's timeouts, 10 minutes and 60 seconds, differ from those here.
void note_defaults(const std::vector<core::StoreWrite>& writes, const config::Settings& settings) {
  std::size_t without_idle = 0;
  std::size_t without_connect = 0;
  for (const core::StoreWrite& write : writes) {
    const auto* added = std::get_if<core::AddStream>(&write);
    if (added == nullptr) continue;
    without_idle += added->stream.spec.idle_timeout ? 0 : 1;
    without_connect += added->stream.spec.connect_timeout ? 0 : 1;
  }
  if (without_idle > 0 && settings.idle_timeout.count() == 0)
    std::printf(
        "note: %s without proxy_timeout. nginx ends a session after 10m without data, this service "
        "does not. To keep that limit, set IDLE_TIMEOUT=10m or each stream's idle_timeout.\n",
        count_of(without_idle, "stream").c_str());
  if (without_connect > 0 && settings.connect_timeout < kConnectDefaultOfNginx)
    std::printf(
        "note: %s without proxy_connect_timeout. nginx waits 1m for a backend, this service %s. To "
        "keep that limit, set CONNECT_TIMEOUT=1m or each stream's connect_timeout.\n",
        count_of(without_connect, "stream").c_str(),
        base::format_duration(settings.connect_timeout).c_str());
}

// Adds the writes that create the streams to `writes` and prints a line for each; what cannot be
// taken goes to the remarks of `found`. Returns the number of streams.
std::size_t take(config::ImportedStreams& found, const config::Settings& settings,
                 const Streams& present, base::WallTime now,
                 std::vector<core::StoreWrite>& writes) {
  std::size_t taken = 0;
  for (const config::ImportedStream& imported : found.streams) {
    const std::string text = to_text(imported.spec);
    if (const auto known = present.find(imported.spec.port); known != present.end()) {
      Comparison found_there = compare(imported.spec, known->second.spec);
      auto& remarks = found_there.is_known ? found.ignored : found.rejected;
      remarks.push_back({imported.file, imported.line, text, std::move(found_there.why)});
      continue;
    }
    if (const std::string fault = fault_of(imported.spec, settings); !fault.empty()) {
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
    note_foreign_address(imported);
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
  note_defaults(writes, settings);
  if (!import.dry_run && !writes.empty())
    if (auto saved = database.commit(std::move(writes)); !saved)
      return fail("nothing was imported: " + saved.error().message);
  std::printf("%s %s, %s not taken\n", count_of(taken, "stream").c_str(),
              import.dry_run ? "would be imported" : "imported",
              count_of(found->rejected.size(), "line").c_str());
  if (is_missing) return fail(present.error().message);
  return found->rejected.empty() ? config::kExitDone : kExitFailed;
}

}  // namespace sc
