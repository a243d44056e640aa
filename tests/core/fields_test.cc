// Which fields a change may have: what a stream has already is not judged again.

#include <optional>
#include <utility>

#include "conductor_fixture.h"
#include "support/catch.h"

namespace sc::test {
namespace {

using core::StreamPatch;
using core::StreamState;
using Fields = std::vector<std::string>;

struct FieldsFixture : ConductorFixture {
  // The fields that the refusal names; none: the change was made.
  Fields put(const core::StreamSpec& wanted) {
    return refused<core::Conductor::Put>([&](auto done) {
      conductor.put(wanted, {"tester", {}}, {}, std::move(done));
    });
  }
  Fields patch(std::uint16_t port, const StreamPatch& change) {
    return refused<core::Stream>([&](auto done) {
      conductor.patch(port, change, {"tester", {}}, {}, std::move(done));
    });
  }
  Fields apply(std::vector<core::StreamSpec> streams) {
    core::ApplyRequest request;
    request.streams = std::move(streams);
    return refused<core::ApplyReport>([&](auto done) {
      conductor.apply(std::move(request), {"tester", {}}, std::move(done));
    });
  }
  // A stream of a former version, as the database has it.
  void boot_old(const core::StreamSpec& old) { boot({core::Stream{old}}); }

 private:
  template <class T, class Start>
  Fields refused(Start start) {
    std::optional<base::Result<T>> answer;
    start(base::Callback<void(base::Result<T>)>(
        [&](base::Result<T> done) { answer = std::move(done); }));
    for (int i = 0; i < 8 && !answer; ++i) {
      store.answer_all();
      plane.finish_closing();
    }
    REQUIRE(answer);
    if (*answer) return {};
    CHECK(answer->error().code == base::Errc::invalid);
    Fields fields{answer->error().field};
    for (const base::WrongPart& part : answer->error().more) fields.push_back(part.field);
    return fields;
  }
};

StreamPatch enabled(bool is_enabled) {
  StreamPatch change;
  change.enabled = is_enabled;
  return change;
}

StreamPatch owned(const std::string& owner) {
  StreamPatch change;
  change.owner = owner;
  return change;
}

TEST_CASE_METHOD(FieldsFixture, "a stream whose listen address is gone can still be changed") {
  core::StreamSpec wanted = spec(9000);
  wanted.listen_address = FakeDataPlane::kForeignAddress;
  boot_old(wanted);
  wanted.label = "x";
  CHECK(put(wanted).empty());
  core::StreamSpec disabled = spec(9001);
  disabled.listen_address = FakeDataPlane::kForeignAddress;
  disabled.enabled = false;
  CHECK(put(disabled).empty());
}

TEST_CASE_METHOD(FieldsFixture,
                 "a stream with a multicast address of a former version can be changed") {
  core::StreamSpec old = spec(9000, "239.1.2.3:80");
  old.listen_address = "224.0.0.1";
  boot_old(old);
  CHECK(patch(9000, owned("me")).empty());
  CHECK(apply({conductor.find(9000)->spec, spec(9001)}).empty());
  CHECK(patch(9000, enabled(false)).empty());
  CHECK(patch(9000, owned("you")).empty());
  CHECK(patch(9000, enabled(true)) == Fields{"/listen_address"});
  StreamPatch moved;
  moved.backend = core::Backend{"239.1.2.4", 80};
  moved.listen_address = "224.0.0.2";
  CHECK(patch(9000, moved) == Fields{"/listen_address", "/backend"});
}

TEST_CASE_METHOD(
    FieldsFixture,
    "a stream with a link-local address without a zone of a former version can be changed") {
  core::StreamSpec old = spec(9000, "[fe80::1]:80");
  old.listen_address = "fe80::2";
  boot_old(old);
  CHECK(patch(9000, owned("me")).empty());
  CHECK(apply({conductor.find(9000)->spec}).empty());
  CHECK(patch(9000, enabled(false)).empty());
  StreamPatch moved;
  moved.backend = core::Backend{"fe80::3", 80};
  CHECK(patch(9000, moved) == Fields{"/backend"});
}

TEST_CASE_METHOD(FieldsFixture, "a text with hidden characters of a former version can stay") {
  core::StreamSpec old = spec(9000);
  old.label = "w\u200deb";
  old.note = "a\u0085";
  boot_old(old);
  CHECK(put(conductor.find(9000)->spec).empty());
  CHECK(apply({conductor.find(9000)->spec}).empty());
  CHECK(patch(9000, owned("me")).empty());
  CHECK(patch(9000, owned("m\u200be")) == Fields{"/owner"});
  old.owner = old.label = "x\u202e";
  CHECK(put(old) == Fields{"/label", "/owner"});
  old.port = 9001;
  CHECK(apply({old}) == Fields{"/0/label", "/0/note", "/0/owner"});
}

TEST_CASE_METHOD(FieldsFixture, "enabling a stream judges its listen address") {
  core::StreamSpec disabled = spec(9000);
  disabled.listen_address = FakeDataPlane::kForeignAddress;
  disabled.enabled = false;
  REQUIRE(put(disabled).empty());
  StreamPatch change = enabled(true);
  change.label = "a\nb";
  CHECK(patch(9000, change) == Fields{"/label", "/listen_address"});
  CHECK(conductor.find(9000)->state == StreamState::disabled);
  CHECK(plane.calls.empty());
}

}  // namespace
}  // namespace sc::test
