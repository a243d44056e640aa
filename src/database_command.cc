#include "database_command.h"

#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "folder_owner.h"
#include "store/database_copy.h"
#include "store/file_identity.h"
#include "store/folder.h"
#include "store/restoration.h"

namespace sc {
namespace {

constexpr int kExitFailed = 1;
constexpr std::uint64_t kMiB = 1024 * 1024;
constexpr std::uint64_t kPageSize = 4096;  // of our databases
constexpr std::chrono::milliseconds kLook{20};
constexpr std::chrono::seconds kReloadLimit{30};

volatile std::sig_atomic_t told_to_end = 0;

// A copy that is not complete is removed on the way out.
void end_in_order_at_signals() {
  for (const int number : {SIGINT, SIGTERM, SIGHUP})
    std::signal(number, [](int) { told_to_end = 1; });
}

int fail(const std::string& why) {
  std::fprintf(stderr, "stream-conductor database: %s\n", why.c_str());
  return kExitFailed;
}

int flushed() { return std::fflush(stdout) == 0 ? config::kExitDone : kExitFailed; }

std::string in_mib(std::uint64_t bytes) {
  if (bytes < kMiB) return std::to_string(bytes / 1024) + " KiB";
  const std::uint64_t tenths = bytes * 10 / kMiB;
  return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " MiB";
}

// One line on a terminal, written over itself; nothing where stderr is a file or a pipe.
class Progress {
 public:
  bool show(std::uint64_t done, std::uint64_t total) {
    if (is_terminal_) {
      const std::string text =
          total == 0 ? std::string("checking")
                     : "copied " + in_mib(done * kPageSize) + " of " + in_mib(total * kPageSize);
      std::fprintf(stderr, "\r\033[K%s", text.c_str());
      is_shown_ = true;
    }
    return told_to_end == 0;
  }
  Progress() = default;
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress() {
    if (is_shown_) std::fputs("\r\033[K", stderr);
  }
  store::OnProgress callback() {
    return [this](std::uint64_t done, std::uint64_t total) { return show(done, total); };
  }

 private:
  const bool is_terminal_ = ::isatty(STDERR_FILENO) == 1;
  bool is_shown_ = false;
};

std::string database_of(const config::Configuration& configuration) {
  return configuration.settings.state_directory + "/stream-conductor.db";
}

std::string in_words(const store::DatabaseSummary& summary) {
  return std::to_string(summary.streams) + " streams, " + std::to_string(summary.events) +
         " events, " + std::to_string(summary.tokens) + " tokens, schema version " +
         std::to_string(summary.schema_version) + " of " + std::to_string(summary.known_version) +
         ", " + in_mib(summary.bytes);
}

// Root may read a copy that only it may, but reads in the folder of a service as the service's
// user.
base::Result<std::unique_ptr<store::DatabaseReader>> open_service_database(
    const config::Configuration& configuration) {
  const ActingAsOwner acting(configuration.settings.state_directory);
  const std::string file = database_of(configuration);
  if (auto foreign = store::find_foreign_log(file))
    return base::Error{base::Errc::invalid,
                       *foreign + "; start or reload the service, which sets it aside"};
  return store::DatabaseReader::open(file);
}

// Why the copy cannot be written there.
base::Result<void> check_target(const config::BackUpDatabase& asked) {
  struct stat found {};
  if (::stat(asked.file.c_str(), &found) != 0) return {};
  if (!S_ISREG(found.st_mode))
    return base::Error{base::Errc::invalid, asked.file + " is not a regular file"};
  if (store::identify(asked.file) == store::identify(database_of(asked.configuration)))
    return base::Error{base::Errc::invalid, asked.file + " is the database itself"};
  if (!asked.replace)
    return base::Error{base::Errc::in_use, asked.file + " is there already; --force replaces it"};
  return {};
}

// The process that has the folder, held so that its number cannot become another one's.
struct Holder {
  pid_t pid = 0;
  base::Fd handle;
};

Holder find_holder(const std::string& folder) {
  Holder holder;
  holder.pid = store::find_claimant(folder);
  if (holder.pid == 0) return holder;
  holder.handle.reset(static_cast<int>(::syscall(SYS_pidfd_open, holder.pid, 0)));
  if (!holder.handle || store::find_claimant(folder) != holder.pid) return {};
  return holder;
}

bool has_taken_up(const std::string& folder, const store::FileIdentity& database) {
  const auto record = store::read_claim_record(folder);
  return record && record->database == database;
}

// The service records which file it has open; so the command knows that the reload is done.
base::Result<void> have_it_reloaded(const Holder& holder, const std::string& folder,
                                    const store::FileIdentity& database) {
  if (::syscall(SYS_pidfd_send_signal, holder.handle.get(), SIGHUP, nullptr, 0) != 0)
    return base::Error{
        base::Errc::unavailable,
        base::describe_errno("process " + std::to_string(holder.pid) + " cannot be sent SIGHUP",
                             errno)};
  const auto until = std::chrono::steady_clock::now() + kReloadLimit;
  while (!has_taken_up(folder, database)) {
    if (told_to_end != 0 || std::chrono::steady_clock::now() > until)
      return base::Error{base::Errc::unavailable,
                         "the service has not opened it; see its log for the reason"};
    std::this_thread::sleep_for(kLook);
  }
  return {};
}

// Makes the copy in the database's folder, from where it is renamed to its place.
base::Result<store::PartialCopy> copy_beside(const std::string& database,
                                             store::DatabaseReader& from) {
  auto copy = store::PartialCopy::start(database);
  if (!copy) return copy.error();
  Progress progress;
  if (auto filled = copy->fill(from, progress.callback()); !filled) return filled.error();
  return copy;
}

int restored(const std::string& from, const std::string& database,
             const store::DatabaseSummary& summary, const char* what_next) {
  std::printf("%s is now the content of %s: %s%s\n", from.c_str(), database.c_str(),
              in_words(summary).c_str(), what_next);
  return flushed();
}

}  // namespace

int back_up_database(const config::BackUpDatabase& asked) {
  end_in_order_at_signals();
  if (auto fine = check_target(asked); !fine) return fail(fine.error().message);
  auto reader = open_service_database(asked.configuration);
  if (!reader) return fail(reader.error().message);
  if (auto why = (*reader)->refusal())
    return fail("the database " + (*reader)->file() + " " + *why);
  auto copy = store::PartialCopy::start(asked.file);
  if (!copy) return fail(copy.error().message);
  {
    Progress progress;
    if (auto filled = copy->fill(**reader, progress.callback()); !filled)
      return fail(filled.error().message);
  }
  auto summary = (*reader)->summary();
  if (!summary) return fail(summary.error().message);
  if (auto placed = copy->put_in_place(asked.replace); !placed) return fail(placed.error().message);
  std::printf("%s: %s\n", asked.file.c_str(), in_words(*summary).c_str());
  return flushed();
}

int restore_database(const config::RestoreDatabase& asked) {
  end_in_order_at_signals();
  const std::string& folder = asked.configuration.settings.state_directory;
  const std::string database = database_of(asked.configuration);
  auto reader = store::DatabaseReader::open(asked.file);
  if (!reader) return fail(reader.error().message);
  if (auto why = (*reader)->refusal()) return fail("the database " + asked.file + " " + *why);
  const auto summary = (*reader)->summary();
  if (!summary) return fail(summary.error().message);
  if (store::identify(asked.file) == store::identify(database))
    return fail(asked.file + " is the database itself");
  const Holder holder = find_holder(folder);  // before root is given up
  if (auto became = become_owner_of(folder); !became) return fail(became.error().message);
  auto claim = store::claim_present_folder(folder);
  if (!claim && claim.error().code != base::Errc::conflict) return fail(claim.error().message);
  if (!claim && !asked.reload)
    return fail(claim.error().message + ": stop it first, or give --reload");
  if (!claim && !holder.handle)
    return fail(claim.error().message +
                ", and which process it is cannot be found out: stop it first");
  auto copy = copy_beside(database, **reader);
  if (!copy) return fail(copy.error().message);
  if (claim) {
    if (auto replaced = store::replace_database(database, std::move(*copy)); !replaced)
      return fail(replaced.error().message);
    return restored(asked.file, database, *summary,
                    asked.reload ? "; no service runs that could reload it" : "");
  }
  if (auto placed = copy->put_in_place(true); !placed) return fail(placed.error().message);
  if (auto reloaded = have_it_reloaded(holder, folder,
                                       store::identify(database).value_or(store::FileIdentity{}));
      !reloaded)
    return fail(database + " is the restored one, but " + reloaded.error().message);
  return restored(asked.file, database, *summary, "; the service has taken it up");
}

int check_database(const config::CheckDatabase& asked) {
  end_in_order_at_signals();
  auto reader = asked.file.empty() ? open_service_database(asked.configuration)
                                   : store::DatabaseReader::open(asked.file);
  if (!reader) return fail(reader.error().message);
  std::vector<std::string> findings;
  {
    Progress progress;
    auto damage = (*reader)->find_damage(progress.callback());
    if (!damage) return fail(damage.error().message);
    findings = std::move(*damage);
  }
  if (auto why = (*reader)->refusal()) {
    findings.push_back("the database " + *why);
  } else {
    for (std::string& row : (*reader)->unreadable_rows()) findings.push_back(std::move(row));
  }
  const std::string& file = (*reader)->file();
  for (const std::string& finding : findings)
    std::printf("%s: %s\n", file.c_str(), finding.c_str());
  if (findings.empty()) {
    const auto summary = (*reader)->summary();
    if (!summary) return fail(summary.error().message);
    std::printf("%s: ok: %s\n", file.c_str(), in_words(*summary).c_str());
  }
  return flushed() == config::kExitDone && findings.empty() ? config::kExitDone : kExitFailed;
}

}  // namespace sc
