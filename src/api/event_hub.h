#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "api/token_book.h"
#include "base/callback.h"
#include "base/clock.h"
#include "base/result.h"
#include "core/caller.h"
#include "core/session_book.h"
#include "core/stream_store.h"
#include "http/responder.h"

namespace sc::api {

// Those who watch what happens, and what they are told. Events of streams are read from history,
// by each watcher from where it stands, whenever something was recorded and it has taken what it
// was given: so nothing is lost or doubled between what was and what comes, and history is the only
// buffer. What is told of sessions is nowhere but here: whoever does not take it is dropped.
// Nothing is asked, and no session costs more, while nobody watches. Outlives no answer of the
// store that reaches it. Control thread only.
class EventHub {
 public:
  // Calls the function once, so much later; not at all when it is destroyed first.
  using Later = std::function<void(std::chrono::milliseconds, base::Callback<void()>)>;

  static constexpr std::size_t kMostWatchers = 64;
  // How often sessions are asked for.
  static constexpr std::chrono::milliseconds kNewsEvery{100};
  // How often it is looked whether tokens are good still, and who has heard nothing for kQuiet, so
  // that a heartbeat is due. A revoked token's watchers end within this and an answer of the store.
  static constexpr std::chrono::milliseconds kLookEvery{1000};
  static constexpr std::chrono::seconds kQuiet{15};

  struct Wanted {
    std::optional<std::uint16_t> port;  // nothing: all
    bool streams = true;
    bool failures = true;
    bool sessions = false;
    std::optional<std::int64_t> after_id;  // of history; nothing: from now on
  };

  EventHub(core::StreamStore& store, core::SessionBook& sessions, TokenBook& tokens,
           const base::Clock& clock, Later later);
  EventHub(const EventHub&) = delete;
  EventHub& operator=(const EventHub&) = delete;
  ~EventHub();

  bool is_full() const { return watchers_.size() >= kMostWatchers; }
  std::size_t watchers() const { return watchers_.size(); }
  // Of sessions, while somebody watched: dropped because too many came at once.
  std::uint64_t notes_missed() const { return notes_missed_; }

  // History is that of another database from now on. Each watcher gets a `missed` event and goes on
  // from the end of the new history.
  void restart_history();

  // Answers with events until the client goes, its token is not good any more, history cannot be
  // read, or the server leaves. Not when it is full.
  void watch(const Wanted& wanted, const core::Caller& caller, http::Responder responder);

 private:
  using WatcherId = std::uint64_t;
  using Watch = core::SessionBook::Watch;

  struct Watcher {
    Wanted wanted;
    std::string token_sha256;       // empty: it showed none
    std::int64_t seen = 0;          // of history: it has got all up to this one that it wants
    std::int64_t told_deleted = 0;  // it knows that events up to this one were deleted
    bool is_behind = true;          // history may have more for it
    bool is_asked = false;          // a page for it is on its way
    base::Instant wrote_at;
    http::BodyWriter out;
  };
  struct TextsOfNote;

  void write(Watcher& watcher, const std::string& text);
  void forget(WatcherId id);
  void update_watch();

  void on_recorded();
  void pull();
  void on_page(const std::vector<WatcherId>& ids, std::uint64_t era,
               const base::Result<core::HistoryPage>& page);

  void wait_for_news();
  void tell_news();
  void wait_to_look();
  void look();
  void look_at_tokens();
  void end_token(const std::string& sha256);

  core::StreamStore& store_;
  core::SessionBook& sessions_;
  TokenBook& tokens_;
  const base::Clock& clock_;
  const Later later_;

  WatcherId next_id_ = 1;
  Watch watch_ = Watch::nothing;
  std::uint64_t notes_missed_ = 0;
  bool waits_for_news_ = false;
  bool waits_to_look_ = false;
  std::int64_t newest_ = 0;  // of history, as it was last told
  std::uint64_t era_ = 0;    // counts the databases; a page of an earlier one is of no use
  std::map<WatcherId, Watcher> watchers_;
};

}  // namespace sc::api
