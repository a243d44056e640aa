#include <array>
#include <cstddef>
#include <fstream>
#include <sstream>
#include <string>

#include "part_options.h"
#include "relay/admission.h"
#include "support/catch.h"

namespace sc::test {
namespace {

// `19312` as the README writes it: `19,312`.
std::string grouped(std::size_t number) {
  std::string text = std::to_string(number);
  for (std::size_t end = text.size(); end > 3; end -= 3) text.insert(end - 3, ",");
  return text;
}

TEST_CASE("the README has the limits that a process with so many descriptors has") {
  std::ifstream file(SC_README);
  REQUIRE(file);
  std::stringstream text;
  text << file.rdbuf();
  for (const std::size_t nofile : std::array<std::size_t, 3>{1024, 20'000, 524'288}) {
    relay::AdmissionLimits limits;
    limits.descriptors = descriptors_for_streams(nofile, 2);
    const relay::Admission admission(limits, [] {});
    const std::string row = "| " + grouped(nofile) + " | " + grouped(limits.descriptors) + " | " +
                            grouped(admission.places()) + " | " + grouped(admission.reserved()) +
                            " |";
    INFO(row);
    CHECK(text.str().find(row) != std::string::npos);
  }
}

}  // namespace
}  // namespace sc::test
