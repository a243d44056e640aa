#include "database_health.h"

#include <string>
#include <utility>

namespace sc {
namespace {

constexpr std::chrono::milliseconds kLook{500};
constexpr const char* kComponent = "database";
constexpr const char* kLogComponent = "database-log";
constexpr const char* kReadsComponent = "database-reads";

std::string in_seconds(std::chrono::milliseconds duration) {
  return std::to_string(std::chrono::duration_cast<std::chrono::seconds>(duration).count()) + " s";
}

std::string stalled(bool is_locked) {
  const std::string since = in_seconds(DatabaseHealth::kStalled);
  if (is_locked)
    return "another program has held a lock on the database for more than " + since +
           ": changes fail until it ends its transaction; streams go on";
  return "the database has not answered for more than " + since +
         ": changes fail until its disk works again; streams go on";
}

}  // namespace

DatabaseHealth::DatabaseHealth(store::SqliteStore& store, core::Health& health,
                               const base::Clock& clock, Later later)
    : store_(store), health_(health), clock_(clock), later_(std::move(later)) {}

void DatabaseHealth::start() {
  store_.set_on_trouble([this](const std::optional<base::Error>& trouble) {
    trouble_ = trouble;
    update();
  });
  store_.set_on_long_log([this](bool is_long) {
    if (!is_long) return health_.clear(kLogComponent);
    health_.report(kLogComponent,
                   "a program that reads the database has not ended its transaction, so the log "
                   "next to it cannot be emptied and grows: end that program",
                   core::Readiness::ready);
  });
  look();
}

void DatabaseHealth::look() {
  const base::Instant now = clock_.steady();
  is_stalled_ = store_.oldest_write(now) >= kStalled;
  update();
  look_at_reads(now);
  later_(kLook, [this] { look(); });
}

void DatabaseHealth::look_at_reads(base::Instant now) {
  if (store_.oldest_read(now) < kStalledRead) return health_.clear(kReadsComponent);
  health_.report(kReadsComponent,
                 "queries of the history and of tokens have waited for more than " +
                     in_seconds(kStalledRead) +
                     ": clients ask for more than the database can answer, or its disk hangs; "
                     "changes and streams go on",
                 core::Readiness::ready);
}

void DatabaseHealth::update() {
  if (is_stalled_) {
    health_.report(kComponent, stalled(store_.is_locked()), core::Readiness::unready);
  } else if (trouble_ && trouble_->code == base::Errc::replaced) {
    health_.report(kComponent, trouble_->message, core::Readiness::unready);
  } else if (trouble_) {
    health_.report(kComponent,
                   trouble_->message +
                       ": changes are refused until that is over, which is tried every few seconds;"
                       " streams go on",
                   core::Readiness::ready);
  } else {
    health_.clear(kComponent);
  }
}

}  // namespace sc
