#include "loop/later.h"

#include <memory>
#include <string>

#include "loop/loop.h"
#include "support/catch.h"

namespace sc::loop {
namespace {

using std::chrono::milliseconds;

TEST_CASE("each function is called once, later, and may ask for another one") {
  Loop loop;
  Later later(loop);
  std::string called;
  later.after(milliseconds{1}, [&] {
    called += "a";
    later.after(milliseconds{1}, [&] {
      called += "b";
      loop.stop();
    });
  });
  CHECK(called.empty());
  loop.run();
  CHECK(called == "ab");
}

TEST_CASE("what waits when it dies is destroyed uncalled") {
  Loop loop;
  const auto held = std::make_shared<int>(0);
  {
    Later later(loop);
    later.after(milliseconds{1}, [held] { ++*held; });
    CHECK(held.use_count() == 2);
  }
  CHECK(held.use_count() == 1);
  CHECK(*held == 0);
}

TEST_CASE("a function may destroy what called it") {
  Loop loop;
  auto later = std::make_unique<Later>(loop);
  bool other = false;
  later->after(milliseconds{5000}, [&] { other = true; });
  later->after(milliseconds{1}, [&] {
    later.reset();
    loop.stop();
  });
  loop.run();
  CHECK_FALSE(later);
  CHECK_FALSE(other);
}

}  // namespace
}  // namespace sc::loop
