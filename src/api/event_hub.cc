#include "api/event_hub.h"

#include <algorithm>
#include <limits>
#include <set>
#include <utility>
#include <variant>

#include "api/json_events.h"
#include "base/log.h"

namespace sc::api {
namespace {

// No event has an id so high: a page behind it is empty, and says where history stands.
constexpr std::int64_t kFromNow = std::numeric_limits<std::int64_t>::max();
constexpr std::size_t kPage = 100;
// Who has this much left of what it was given gets no further page.
constexpr std::size_t kEnoughWaiting = 64 * 1024;

http::Response head() {
  http::Response response;
  response.content_type = "text/event-stream";
  // Of proxies nginx keeps answers back unless it is told otherwise.
  response.headers = {{"Cache-Control", "no-store"}, {"X-Accel-Buffering", "no"}};
  response.body = retry_text();
  return response;
}

std::uint16_t port_of(const core::SessionNote& note) {
  return std::visit([](const auto& session) { return session.port; }, note);
}

}  // namespace

// Written once, whoever is told.
struct EventHub::TextsOfNote {
  std::uint16_t port = 0;
  std::string failure;  // empty: it is none
  std::string session;
};

EventHub::EventHub(core::StreamStore& store, core::SessionBook& sessions, TokenBook& tokens,
                   const base::Clock& clock, Later later)
    : store_(store), sessions_(sessions), tokens_(tokens), clock_(clock), later_(std::move(later)) {
  store_.set_on_recorded([this] { on_recorded(); });
}

EventHub::~EventHub() { store_.set_on_recorded({}); }

void EventHub::watch(const Wanted& wanted, const core::Caller& caller, http::Responder responder) {
  tell_news();  // what came until now is not for the newcomer
  const WatcherId id = next_id_++;
  Watcher watcher;
  watcher.wanted = wanted;
  watcher.token_sha256 = caller.token_sha256;
  watcher.seen = wanted.after_id.value_or(kFromNow);
  watcher.wrote_at = clock_.steady();
  watcher.out = responder.respond_open(
      head(), {.on_sent = [this] { pull(); }, .on_closed = [this, id] { forget(id); }});
  if (!watcher.out.is_open()) return;  // HEAD, or gone
  watchers_.emplace(id, std::move(watcher));
  update_watch();
  wait_to_look();
  pull();
}

// Whoever does not take it is forgotten later, by on_closed.
void EventHub::write(Watcher& watcher, const std::string& text) {
  if (text.empty()) return;
  watcher.wrote_at = clock_.steady();
  watcher.out.write(text);
}

void EventHub::forget(WatcherId id) {
  watchers_.erase(id);
  update_watch();
}

void EventHub::update_watch() {
  Watch wanted = Watch::nothing;
  for (const auto& [id, watcher] : watchers_) {
    if (watcher.wanted.sessions) wanted = Watch::sessions;
    if (watcher.wanted.failures) wanted = std::max(wanted, Watch::failures);
  }
  if (wanted == watch_) return;
  watch_ = wanted;
  sessions_.watch(wanted);
  wait_for_news();
}

// History.

void EventHub::on_recorded() {
  for (auto& [id, watcher] : watchers_) watcher.is_behind = true;
  pull();
}

// Those who stand at the same place share a page. Of those who have seen all but the latest events,
// as most have, those of every port do: what comes is little, and each takes its own of it. Who is
// further behind asks for its port alone, as history may hold much of others.
void EventHub::pull() {
  std::map<std::pair<std::int64_t, std::optional<std::uint16_t>>, std::vector<WatcherId>> asking;
  for (auto& [id, watcher] : watchers_) {
    if (!watcher.wanted.streams || !watcher.is_behind || watcher.is_asked ||
        !watcher.out.is_open() || watcher.out.waiting() > kEnoughWaiting)
      continue;
    watcher.is_asked = true;
    watcher.is_behind = false;
    const bool is_near = watcher.seen >= newest_ - static_cast<std::int64_t>(kPage);
    asking[{watcher.seen, is_near ? std::nullopt : watcher.wanted.port}].push_back(id);
  }
  for (auto& [place, ids] : asking) {
    core::HistoryQuery query;
    query.after_id = place.first;
    query.port = place.second;
    query.limit = kPage;
    store_.history(query,
                   [this, held = std::move(ids), era = era_](
                       const base::Result<core::HistoryPage>& page) { on_page(held, era, page); });
  }
}

// Behind every id, but not as a newcomer stands there.
void EventHub::restart_history() {
  ++era_;
  newest_ = 0;
  for (auto& [id, watcher] : watchers_) {
    watcher.seen = kFromNow - 1;
    watcher.is_behind = true;
  }
  pull();
}

void EventHub::on_page(const std::vector<WatcherId>& ids, std::uint64_t era,
                       const base::Result<core::HistoryPage>& page) {
  if (era != era_) {
    for (const WatcherId id : ids) {
      const auto found = watchers_.find(id);
      if (found != watchers_.end()) found->second.is_asked = false;
    }
    return pull();
  }
  if (!page) {
    base::log::error("watchers of events are ended, as history cannot be read",
                     {{"reason", page.error().message}});
    for (const WatcherId id : ids) forget(id);
    return;
  }
  newest_ = page->newest_id;
  const bool is_whole = page->events.size() < kPage;
  std::vector<std::string> texts;
  for (const core::RecordedEvent& event : page->events) texts.push_back(event_text(event));
  for (const WatcherId id : ids) {
    const auto found = watchers_.find(id);
    if (found == watchers_.end()) continue;
    Watcher& watcher = found->second;
    watcher.is_asked = false;
    if (watcher.seen > page->newest_id) {
      const bool is_new = watcher.seen == kFromNow;
      watcher.seen = page->newest_id;
      write(watcher, (is_new ? "" : missed_history_text()) + place_text(watcher.seen));
      continue;
    }
    std::string text;
    const std::int64_t deleted = page->start.deleted_id;
    if (deleted > std::max(watcher.seen, watcher.told_deleted)) {
      text = missed_history_text();
      watcher.told_deleted = deleted;
    }
    for (std::size_t i = 0; i < texts.size(); ++i)
      if (watcher.wanted.port.value_or(page->events[i].event.port) == page->events[i].event.port)
        text += texts[i];
    // Behind the events of other ports too, so that all who are told everything stand together.
    watcher.seen = is_whole ? page->newest_id : page->events.back().id;
    if (!is_whole) watcher.is_behind = true;
    write(watcher, text);
  }
  pull();
}

// Sessions.

void EventHub::wait_for_news() {
  if (watch_ == Watch::nothing || std::exchange(waits_for_news_, true)) return;
  later_(kNewsEvery, [this] {
    waits_for_news_ = false;
    tell_news();
    wait_for_news();
  });
}

void EventHub::tell_news() {
  if (watch_ == Watch::nothing) return;
  const core::SessionNews news = sessions_.take_news();
  if (news.notes.empty() && news.missed == 0) return;
  notes_missed_ += news.missed;
  std::vector<TextsOfNote> texts;
  for (const core::SessionNote& note : news.notes) {
    TextsOfNote made;
    made.port = port_of(note);
    if (const auto* ended = std::get_if<core::EndedSession>(&note);
        ended != nullptr && core::is_failure(ended->reason))
      made.failure = failure_text(*ended);
    if (watch_ == Watch::sessions) made.session = session_text(note);
    texts.push_back(std::move(made));
  }
  const std::string missed = news.missed > 0 ? missed_notes_text(news.missed) : "";
  for (auto& [id, watcher] : watchers_) {
    const Wanted& wanted = watcher.wanted;
    if (!wanted.failures && !wanted.sessions) continue;
    std::string text = missed;
    for (const TextsOfNote& note : texts) {
      if (wanted.port && *wanted.port != note.port) continue;
      if (wanted.failures) text += note.failure;
      if (wanted.sessions) text += note.session;
    }
    write(watcher, text);
  }
}

// What has to be looked at now and then.

void EventHub::wait_to_look() {
  if (watchers_.empty() || std::exchange(waits_to_look_, true)) return;
  later_(kLookEvery, [this] {
    waits_to_look_ = false;
    look();
    wait_to_look();
  });
}

void EventHub::look() {
  const base::Instant now = clock_.steady();
  for (auto& [id, watcher] : watchers_)
    if (now - watcher.wrote_at >= kQuiet) write(watcher, heartbeat_text());
  look_at_tokens();
}

void EventHub::look_at_tokens() {
  std::set<std::string> shown;
  for (const auto& [id, watcher] : watchers_)
    if (!watcher.token_sha256.empty()) shown.insert(watcher.token_sha256);
  for (const std::string& sha256 : shown)
    tokens_.find_again(sha256,
                       [this, sha256](const base::Result<std::optional<core::Caller>>& found) {
                         if (!found || !*found) end_token(sha256);
                       });
}

void EventHub::end_token(const std::string& sha256) {
  std::erase_if(watchers_, [&](const auto& each) { return each.second.token_sha256 == sha256; });
  update_watch();
}

}  // namespace sc::api
