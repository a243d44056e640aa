#include "core/session.h"

#include <cerrno>
#include <set>

#include "support/catch.h"

using namespace sc;
using namespace std::chrono_literals;
using core::DialAttempt;
using core::EndReason;

namespace {

core::EndedSession ended(EndReason reason) {
  core::EndedSession session;
  session.backend = {"db.example", 2000};
  session.reason = reason;
  session.ended_after = 2500ms;
  return session;
}

}  // namespace

TEST_CASE("each reason has a name, a fault and words of its own") {
  std::set<std::string_view> names;
  std::set<std::string> words;
  for (std::size_t i = 0; i < core::kEndReasons; ++i) {
    const auto reason = static_cast<EndReason>(i);
    names.insert(core::to_string(reason));
    words.insert(core::in_words(ended(reason)));
    CHECK(!core::to_string(core::fault_of(reason)).empty());
  }
  CHECK(names.size() == core::kEndReasons);
  CHECK(words.size() == core::kEndReasons);
  CHECK(core::fault_of(EndReason::killed) == core::Fault::operator_);
  CHECK(core::to_string(core::Fault::operator_) == "operator");
}

TEST_CASE("a refusal names the address that refused, and the others with what came of them") {
  core::EndedSession session = ended(EndReason::backend_refused);
  session.tried = {{"[2001:db8::1]:2000", DialAttempt::Result::failed, ENETUNREACH, 12us},
                   {"10.1.0.1:2000", DialAttempt::Result::failed, ECONNREFUSED, 300us}};
  CHECK(core::in_words(session) ==
        "backend 10.1.0.1:2000 refused the connection (ECONNREFUSED) after 0.30 ms; also tried "
        "[2001:db8::1]:2000: network is unreachable (ENETUNREACH) after 0.01 ms");
}

TEST_CASE("a backend without a route is not said to have refused") {
  core::EndedSession session = ended(EndReason::backend_refused);
  session.tried = {{"10.1.0.1:2000", DialAttempt::Result::failed, EHOSTUNREACH, 3100ms}};
  CHECK(core::in_words(session) ==
        "backend 10.1.0.1:2000 could not be reached: no route to host (EHOSTUNREACH) after 3.1 s");
}

TEST_CASE("a time-out says how long was waited, and for whom") {
  core::EndedSession session = ended(EndReason::backend_timeout);
  session.phase = core::SessionPhase::connect;
  session.tried = {{"10.1.0.1:2000", DialAttempt::Result::abandoned, 0, 2499ms}};
  CHECK(core::in_words(session) ==
        "backend db.example:2000 did not answer within 2.5 s; tried 10.1.0.1:2000: no answer "
        "after 2.5 s");
  session.reason = EndReason::backend_unresolved;
  session.phase = core::SessionPhase::resolve;
  session.tried.clear();
  session.detail = "no DNS server answered within 5 s";
  CHECK(core::in_words(session) == "cannot resolve db.example: no DNS server answered within 5 s");
}

TEST_CASE("who broke off a session that ran is told with what went through it") {
  core::EndedSession session = ended(EndReason::backend_reset);
  session.address = "10.1.0.1:2000";
  session.error = ECONNRESET;
  session.connected_after = 300us;
  session.bytes_in = 5;
  session.bytes_out = 7;
  CHECK(core::in_words(session) ==
        "backend 10.1.0.1:2000 reset the connection (ECONNRESET) after 2.5 s; 5 bytes went in and "
        "7 came out");
  session.reason = EndReason::client_reset;
  session.error = ETIMEDOUT;
  CHECK(core::in_words(session) ==
        "the client fell silent: nothing was acknowledged any more (ETIMEDOUT) after 2.5 s; 5 "
        "bytes went in and 7 came out");
}

TEST_CASE("what went through a session of a former process is told as well") {
  core::EndedSession session = ended(EndReason::client_reset);
  session.address = "10.1.0.1:2000";  // when it was connected is not known
  session.bytes_in = 5;
  CHECK(core::in_words(session) ==
        "the client reset the connection after 2.5 s; 5 bytes went in and 0 came out");
  session.address.clear();
  CHECK(core::in_words(session) == "the client reset the connection after 2.5 s");
}

TEST_CASE("one that was drained is not said to have had time, which a stop may not give") {
  CHECK(core::in_words(ended(EndReason::drained)) ==
        "its stream or the service was being stopped, and its time to end was over, after 2.5 s");
}

TEST_CASE("one that was cut before its backend answered is told with what was tried") {
  core::EndedSession session = ended(EndReason::killed);
  session.phase = core::SessionPhase::connect;
  session.tried = {{"10.1.0.1:2000", DialAttempt::Result::failed, ECONNREFUSED, 310us},
                   {"10.1.0.2:2000", DialAttempt::Result::abandoned, 0, 2'499ms}};
  CHECK(core::in_words(session) ==
        "an operator ended it after 2.5 s; tried 10.1.0.1:2000: connection refused (ECONNREFUSED) "
        "after 0.31 ms, 10.1.0.2:2000: no answer after 2.5 s");
}

TEST_CASE("durations read as a person would say them") {
  CHECK(core::in_words(-1us) == "under 0.01 ms");
  CHECK(core::in_words(9us) == "under 0.01 ms");
  CHECK(core::in_words(10us) == "0.01 ms");
  CHECK(core::in_words(49us) == "0.05 ms");
  CHECK(core::in_words(310us) == "0.31 ms");
  CHECK(core::in_words(999us) == "1.0 ms");
  CHECK(core::in_words(1'000us) == "1.0 ms");
  CHECK(core::in_words(9'890us) == "9.9 ms");
  CHECK(core::in_words(9'960us) == "10 ms");
  CHECK(core::in_words(10'000us) == "10 ms");
  CHECK(core::in_words(41'900us) == "42 ms");
  CHECK(core::in_words(2'590ms) == "2.6 s");
  CHECK(core::in_words(5'999'800us) == "6.0 s");
  CHECK(core::in_words(59'990ms) == "1 min 0 s");
  CHECK(core::in_words(185s) == "3 min 5 s");
  CHECK(core::in_words(7380s) == "2 h 3 min");
}
