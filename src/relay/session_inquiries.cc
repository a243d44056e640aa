#include "relay/session_inquiries.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace sc::relay {

void SessionInquiries::list(const core::SessionQuery& query, OnPage on_done) {
  const std::uint64_t number = next_++;
  Listing listing;
  listing.query = query;
  listing.on_done = std::move(on_done);
  listing.found.resize(workers_.size());
  listing.still_asked = workers_.size();
  listings_.emplace(number, std::move(listing));
  for (const auto& worker : workers_) worker->send(ListSessions{number, query});
}

// A worker looks at a bounded number of sessions at once, and is asked again from there while what
// it found does not fill the page.
void SessionInquiries::handle(SessionsListed answer) {
  const auto asked = listings_.find(answer.number);
  Listing& listing = asked->second;
  std::size_t& found = listing.found.at(answer.worker);
  found += answer.sessions.size();
  std::move(answer.sessions.begin(), answer.sessions.end(), std::back_inserter(listing.sessions));
  if (answer.rest && found < listing.query.limit) {
    core::SessionQuery rest = listing.query;
    rest.before = answer.rest;
    rest.limit -= found;
    workers_[answer.worker]->send(ListSessions{answer.number, std::move(rest)});
    return;
  }
  listing.has_more |= answer.rest.has_value();
  if (--listing.still_asked > 0) return;
  Listing whole = std::move(listing);
  listings_.erase(asked);
  OnPage done = std::move(whole.on_done);
  done(to_page(std::move(whole)));
}

core::SessionPage SessionInquiries::to_page(Listing listing) {
  core::SessionPage page;
  page.sessions = std::move(listing.sessions);
  std::sort(page.sessions.begin(), page.sessions.end(),
            [](const auto& one, const auto& other) { return one.id > other.id; });
  if (page.sessions.size() > listing.query.limit) {
    page.sessions.resize(listing.query.limit);
    listing.has_more = true;
  }
  if (listing.has_more) page.before = page.sessions.back().id;
  return page;
}

Worker& SessionInquiries::worker_of(core::SessionId id) const {
  const std::size_t index = Worker::index_of(id);
  return *workers_[index < workers_.size() ? index : 0];
}

void SessionInquiries::look_up(core::SessionId id, OnDetails on_done) {
  const std::uint64_t number = next_++;
  looked_up_.emplace(number, std::move(on_done));
  worker_of(id).send(LookUpSession{number, id});
}

void SessionInquiries::kill(core::SessionId id, OnEnded on_done) {
  const std::uint64_t number = next_++;
  killed_.emplace(number, std::move(on_done));
  worker_of(id).send(KillSession{number, id});
}

void SessionInquiries::handle(SessionLookedUp answer) {
  OnDetails done = std::move(looked_up_.extract(answer.number).mapped());
  done(std::move(answer.details));
}

void SessionInquiries::handle(SessionKilled answer) {
  OnEnded done = std::move(killed_.extract(answer.number).mapped());
  done(std::move(answer.ended));
}

}  // namespace sc::relay
