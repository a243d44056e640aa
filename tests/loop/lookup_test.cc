#include "loop/lookup.h"

#include <netinet/in.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "support/catch.h"
#include "support/fake_host.h"
#include "support/loop_until.h"

namespace sc::test {
namespace {

using Answer = base::Result<loop::Lookup::Addresses>;

std::optional<Answer> look_up(const std::string& name) {
  loop::Loop loop;
  std::optional<Answer> answer;
  const loop::Lookup lookup(loop, name, [&](Answer found) { answer.emplace(std::move(found)); });
  CHECK_FALSE(answer);  // never from inside the constructor
  if (!loop_until(loop, [&] { return answer.has_value(); })) FAIL("no answer for " << name);
  return answer;
}

bool is_loopback(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET)
    return reinterpret_cast<const sockaddr_in&>(address).sin_addr.s_addr == htonl(INADDR_LOOPBACK);
  return address.ss_family == AF_INET6 &&
         IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6&>(address).sin6_addr);
}

TEST_CASE("localhost resolves to loopback addresses") {
  const auto answer = look_up("localhost");
  REQUIRE(*answer);
  REQUIRE_FALSE((*answer)->empty());
  for (const sockaddr_storage& address : **answer) CHECK(is_loopback(address));
}

TEST_CASE("a name that does not exist is unavailable") {
  FakeHost host;
  host.forget_name("name.invalid");
  const auto answer = look_up("name.invalid");
  REQUIRE_FALSE(*answer);
  CHECK(answer->error().code == base::Errc::unavailable);
  CHECK_FALSE(answer->error().message.empty());
}

TEST_CASE("the longest name that a backend may have is looked up like any other") {
  std::string name;
  while (name.size() < 245) name += name.size() % 64 == 63 ? '.' : 'a';
  name += ".invalid";
  REQUIRE(name.size() == 253);
  FakeHost host;
  host.add_name(name, {"127.0.0.1"});
  CHECK(*look_up(name));
}

TEST_CASE("a look-up destroyed before its answer says nothing and leaves nothing") {
  bool called = false;
  {
    loop::Loop loop;
    auto held = std::make_unique<int>(1);
    {
      const loop::Lookup lookup(loop, "localhost",
                                [&called, kept = std::move(held)](Answer) { called = true; });
    }
    turn(loop);
  }
  CHECK_FALSE(called);
  CHECK(loop::Lookup::in_flight() == 0);
}

TEST_CASE("more look-ups than the pool has threads are cancelled together") {
  int answers = 0;
  {
    loop::Loop loop;
    std::vector<std::unique_ptr<loop::Lookup>> many;
    for (int i = 0; i < 50; ++i)
      many.push_back(std::make_unique<loop::Lookup>(loop, "localhost", [&](Answer) { ++answers; }));
    CHECK(loop::Lookup::in_flight() == 50);
    many.clear();
  }
  CHECK(answers == 0);
  CHECK(loop::Lookup::in_flight() == 0);
}

TEST_CASE("a look-up may be destroyed in its own callback") {
  loop::Loop loop;
  std::optional<loop::Lookup> lookup;
  bool found_some = false;
  lookup.emplace(loop, "localhost", [&](Answer found) {
    lookup.reset();
    found_some = found && !found->empty();
  });
  REQUIRE(loop_until(loop, [&] { return !lookup; }));
  CHECK(found_some);
  CHECK(loop::Lookup::in_flight() == 0);
}

}  // namespace
}  // namespace sc::test
