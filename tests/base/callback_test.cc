#include "base/callback.h"

#include <memory>
#include <optional>
#include <string>
#include <type_traits>

#include "support/catch.h"

namespace sc::test {
namespace {

using base::Callback;

static_assert(!std::is_copy_constructible_v<Callback<void()>>);
static_assert(std::is_nothrow_move_constructible_v<Callback<void()>>);
static_assert(!std::is_constructible_v<Callback<void(int)>, void (*)(std::string)>);

// Says when it was destroyed.
struct Probe {
  explicit Probe(bool& gone_flag) : gone(&gone_flag) {}
  Probe(Probe&& other) noexcept : gone(std::exchange(other.gone, nullptr)) {}
  Probe& operator=(Probe&&) = delete;
  Probe(const Probe&) = delete;
  Probe& operator=(const Probe&) = delete;
  ~Probe() {
    if (gone != nullptr) *gone = true;
  }
  bool* gone;
};

TEST_CASE("a callback is called with its arguments and answers") {
  Callback<std::string(int, std::string)> repeat = [](int times, const std::string& word) {
    std::string out;
    for (int i = 0; i < times; ++i) out += word;
    return out;
  };
  CHECK(repeat(3, "ab") == "ababab");
  CHECK(repeat(0, "ab").empty());
}

TEST_CASE("an empty callback is false") {
  const Callback<void()> none;
  CHECK_FALSE(none);
}

TEST_CASE("a callback holds what cannot be copied and keeps its state between calls") {
  Callback<int()> count = [held = std::make_unique<int>(0)] { return ++*held; };
  CHECK(count() == 1);
  CHECK(count() == 2);
}

TEST_CASE("an argument that only moves passes through a callback") {
  Callback<int(std::unique_ptr<int>)> take = [](std::unique_ptr<int> given) { return *given; };
  CHECK(take(std::make_unique<int>(5)) == 5);
}

TEST_CASE("an argument passed by reference is the caller's own") {
  Callback<void(int&)> increment = [](int& number) { ++number; };
  int number = 1;
  increment(number);
  CHECK(number == 2);
}

TEST_CASE("a callback that answers nothing takes a function that answers something") {
  int calls = 0;
  Callback<void()> ignore_answer = [&calls] { return ++calls; };
  ignore_answer();
  CHECK(calls == 1);
}

TEST_CASE("a moved callback leaves an empty one behind") {
  Callback<int()> first = [] { return 1; };
  Callback<int()> second = std::move(first);
  CHECK_FALSE(first);  // NOLINT: moved from on purpose
  CHECK(second() == 1);
}

TEST_CASE("a replaced callback destroys what the old one held") {
  bool gone = false;
  Callback<int()> callback = [probe = Probe(gone)] { return 1; };
  CHECK_FALSE(gone);
  callback = [] { return 2; };
  CHECK(gone);
  CHECK(callback() == 2);
}

TEST_CASE("a destroyed callback destroys what it held, called or not") {
  bool gone = false;
  {
    const Callback<void()> callback = [probe = Probe(gone)] {};
  }
  CHECK(gone);
}

TEST_CASE("a callback moved to the stack may destroy its owner while it runs") {
  struct Owner {
    Callback<void()> on_done;
    void finish() {
      auto done = std::move(on_done);
      done();
    }
  };
  std::optional<Owner> owner(std::in_place);
  int seen = 0;
  owner->on_done = [&owner, &seen, kept = std::make_unique<int>(9)] {
    owner.reset();
    seen = *kept;
  };
  owner->finish();
  CHECK_FALSE(owner);
  CHECK(seen == 9);
}

TEST_CASE("a callback nests in another") {
  Callback<int()> inner = [] { return 4; };
  Callback<int()> outer = [held = std::move(inner)]() mutable { return held() + 1; };
  CHECK(outer() == 5);
}

}  // namespace
}  // namespace sc::test
