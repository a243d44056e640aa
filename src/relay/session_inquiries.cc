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
  listing.is_asked.assign(workers_.size(), true);
  listing.still_asked = workers_.size();
  listings_.emplace(number, std::move(listing));
  for (const auto& worker : workers_) worker->send(ListSessions{number, query});
}

// A worker looks at a bounded number of sessions at once, and is asked again from there while what
// it found does not fill the page.
void SessionInquiries::handle(SessionsListed answer) {
  const auto asked = listings_.find(answer.number);
  if (asked == listings_.end()) return;  // given up
  Listing& listing = asked->second;
  listing.ticks = 0;
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
  listing.is_asked.at(answer.worker) = false;
  if (--listing.still_asked == 0) finish(answer.number);
}

void SessionInquiries::finish(std::uint64_t number) {
  Listing whole = std::move(listings_.extract(number).mapped());
  OnPage done = std::move(whole.on_done);
  done(to_page(std::move(whole)));
}

core::SessionPage SessionInquiries::to_page(Listing listing) {
  core::SessionPage page;
  for (std::size_t i = 0; i < listing.is_asked.size(); ++i)
    if (listing.is_asked[i]) page.silent.push_back(Worker::name_of(i));
  page.sessions = std::move(listing.sessions);
  std::sort(page.sessions.begin(), page.sessions.end(),
            [](const auto& one, const auto& other) { return one.id > other.id; });
  if (page.sessions.size() > listing.query.limit) {
    page.sessions.resize(listing.query.limit);
    listing.has_more = true;
  }
  if (listing.has_more && !page.sessions.empty()) page.before = page.sessions.back().id;
  return page;
}

std::size_t SessionInquiries::worker_of(core::SessionId id) const {
  const std::size_t index = Worker::index_of(id);
  return index < workers_.size() ? index : 0;
}

void SessionInquiries::look_up(core::SessionId id, OnDetails on_done) {
  const std::uint64_t number = next_++;
  const std::size_t worker = worker_of(id);
  looked_up_.emplace(number, Question<OnDetails>{worker, std::move(on_done)});
  workers_[worker]->send(LookUpSession{number, id});
}

void SessionInquiries::kill(core::SessionId id, OnEnded on_done) {
  const std::uint64_t number = next_++;
  const std::size_t worker = worker_of(id);
  killed_.emplace(number, Question<OnEnded>{worker, std::move(on_done)});
  workers_[worker]->send(KillSession{number, id});
}

void SessionInquiries::handle(SessionLookedUp answer) {
  auto asked = looked_up_.extract(answer.number);
  if (asked.empty()) return;  // given up
  OnDetails done = std::move(asked.mapped().on_done);
  done(std::move(answer.details));
}

void SessionInquiries::handle(SessionKilled answer) {
  auto asked = killed_.extract(answer.number);
  if (asked.empty()) return;
  OnEnded done = std::move(asked.mapped().on_done);
  done(std::move(answer.ended));
}

// A worker that is known to stand still is not waited for.
bool SessionInquiries::is_late(std::size_t worker, unsigned& ticks) const {
  return ++ticks >= kPatience || workers_[worker]->is_still();
}

void SessionInquiries::tick() {
  std::vector<std::uint64_t> over;
  for (auto& [number, listing] : listings_) {
    const bool is_late = ++listing.ticks >= kPatience;
    bool waits = false;
    for (std::size_t i = 0; i < workers_.size(); ++i)
      waits |= listing.is_asked[i] && !is_late && !workers_[i]->is_still();
    if (!waits) over.push_back(number);
  }
  for (const std::uint64_t number : over) finish(number);
  give_up(looked_up_);
  give_up(killed_);
}

template <class OnDone>
void SessionInquiries::give_up(Questions<OnDone>& questions) {
  std::vector<std::uint64_t> over;
  for (auto& [number, question] : questions)
    if (is_late(question.worker, question.ticks)) over.push_back(number);
  for (const std::uint64_t number : over) {
    Question<OnDone> question = std::move(questions.extract(number).mapped());
    OnDone done = std::move(question.on_done);
    done(base::Error{base::Errc::unavailable,
                     "thread " + Worker::name_of(question.worker) +
                         ", which would have the session, does not answer now; try again later"});
  }
}

}  // namespace sc::relay
