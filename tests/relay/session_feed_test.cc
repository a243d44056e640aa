#include "relay/session_feed.h"

#include "support/catch.h"

namespace sc::test {
namespace {

using relay::SessionFeed;
using Watch = core::SessionBook::Watch;

core::EndedSession ended(core::SessionId id) {
  core::EndedSession session;
  session.id = id;
  return session;
}

TEST_CASE("nothing is remembered while nobody watches") {
  SessionFeed feed;
  CHECK_FALSE(feed.wants_failures());
  feed.add(ended(1));
  feed.watch(Watch::failures);
  CHECK(feed.wants_failures());
  CHECK_FALSE(feed.wants_all());
  feed.add(ended(2));
  feed.watch(Watch::nothing);
  feed.watch(Watch::sessions);
  CHECK(feed.wants_all());
  CHECK(feed.take().notes.empty());
}

TEST_CASE("news come in order, once, and the oldest are missed where they are too many") {
  SessionFeed feed;
  feed.watch(Watch::sessions);
  feed.add(core::RunningSession{7});
  for (core::SessionId id = 1; id <= SessionFeed::kMost; ++id) feed.add(ended(id));
  const core::SessionNews news = feed.take();
  CHECK(news.missed == 1);
  REQUIRE(news.notes.size() == SessionFeed::kMost);
  CHECK(std::get<core::EndedSession>(news.notes.front()).id == 1);
  CHECK(std::get<core::EndedSession>(news.notes.back()).id == SessionFeed::kMost);
  CHECK(feed.take().notes.empty());
  CHECK(feed.take().missed == 0);
}

}  // namespace
}  // namespace sc::test
