#include "database_health.h"

#include <string>
#include <utility>

namespace sc {
namespace {

constexpr std::chrono::milliseconds kLook{500};
constexpr const char* kComponent = "database";
constexpr const char* kLogComponent = "database-log";

std::string stalled(bool is_locked) {
  const std::string since =
      std::to_string(
          std::chrono::duration_cast<std::chrono::seconds>(DatabaseHealth::kStalled).count()) +
      " s";
  if (is_locked)
    return "another program has held a lock on the database for more than " + since +
           ": changes fail until it ends its transaction; streams go on";
  return "the database has not answered for more than " + since +
         ": changes fail until its disk works again; streams go on";
}

}  // namespace

DatabaseHealth::DatabaseHealth(store::SqliteStore& store, core::Health& health, Later later)
    : store_(store), health_(health), later_(std::move(later)) {}

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
  is_stalled_ = store_.oldest_job() >= kStalled;
  update();
  later_(kLook, [this] { look(); });
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
