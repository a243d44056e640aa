// What SIGHUP does: the part of Daemon that takes up what was changed outside of it.

#include <chrono>
#include <string>
#include <utility>

#include "base/log.h"
#include "daemon.h"

namespace sc {

// What of the log can be set, the credential file's tokens, and the streams as the database has
// them now. Other settings need a restart.
void Daemon::on_reload() {
  if (phase_ != Phase::serving) return;
  notifier_.reloading();
  base::log::info("reloading");
  if (const auto settings = options_.reread ? options_.reread() : std::nullopt) {
    base::log::set_level(settings->log_level);
    base::log::set_format(settings->log_format);
    plane_.set_logged_sessions(settings->log_sessions);
  }
  if (auto tokens = options_.reread_tokens ? options_.reread_tokens() : std::nullopt)
    token_book_.set_file_tokens(std::move(*tokens));
  if (drain_.state() != Drain::State::none) {
    base::log::info("the streams stay as they are, as the service is draining");
    return notifier_.ready(status_line());
  }
  const core::Actor actor{"SIGHUP", {}};
  store_->reopen([this, actor](base::Result<bool> opened) {
    if (!opened) {
      base::log::error("reload refused, everything stays as it is",
                       {{"reason", opened.error().message}});
      if (phase_ == Phase::serving) notifier_.ready(status_line());
      return;
    }
    *opened ? take_up_database(actor) : follow_database(actor);
  });
}

void Daemon::take_up_database(const core::Actor& actor) {
  base::log::info("another database was opened");
  store_->load([this, actor](base::Result<core::StoredStreams> stored) {
    if (!stored) {
      // The writer has the other database already, so its streams have to follow.
      health_.report("database-streams",
                     "another database was opened, and its streams cannot be read: those of the "
                     "former one go on, and reading is tried again",
                     core::Readiness::unready);
      later_.after(std::chrono::milliseconds(1000), [this, actor] {
        if (phase_ == Phase::serving) take_up_database(actor);
      });
      return on_followed(stored.error());
    }
    health_.clear("database-streams");
    traffic_keeper_.start(*stored);
    events_.restart_history();
    on_followed(conductor_.take_up(*stored, actor));
  });
}

void Daemon::follow_database(const core::Actor& actor) {
  conductor_.reload(actor,
                    [this](const base::Result<core::ReloadReport>& done) { on_followed(done); });
}

void Daemon::on_followed(const base::Result<core::ReloadReport>& done) {
  if (done) {
    base::log::info("reloaded", {{"opened", std::to_string(done->opened)},
                                 {"changed", std::to_string(done->changed)},
                                 {"closed", std::to_string(done->closed)}});
  } else {
    base::log::error("reload failed, everything stays as it is",
                     {{"reason", done.error().message}});
  }
  if (phase_ == Phase::serving) notifier_.ready(status_line());
}

}  // namespace sc
