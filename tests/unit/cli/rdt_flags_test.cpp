#include "flags/rdt_flags.h"

#include <catch2/catch.hpp>

#include "base/error.h"

using namespace lay;
using namespace lay::cli;
using runner::IntelRdt;

TEST_CASE("a schema of resctrl is one of the resource that its flag names", "[cli][resctrl]") {
  for (const char* text : {"MB:0=50", "f", "L3", "L3:0"}) {
    std::optional<IntelRdt> rdt;
    CHECK_THROWS_AS((RdtFlags{.l3_schema = text, .memory_schema = {}}.apply(rdt)), Error);
    CHECK(!rdt);
  }
  for (const char* text : {"L3:0=f", "50", "MB:50"}) {
    std::optional<IntelRdt> rdt;
    CHECK_THROWS_AS((RdtFlags{.l3_schema = {}, .memory_schema = text}.apply(rdt)), Error);
  }
}

TEST_CASE("each schema goes over what was there, and the other stays", "[cli][resctrl]") {
  std::optional<IntelRdt> rdt;
  RdtFlags{}.apply(rdt);
  CHECK(!rdt);
  RdtFlags{.l3_schema = "L3CODE:0=f\nL3DATA:0=f", .memory_schema = "MB:0=50;1=70"}.apply(rdt);
  RdtFlags{.l3_schema = "L3:0=3", .memory_schema = {}}.apply(rdt);
  REQUIRE(rdt);
  CHECK(rdt->class_id.empty());
  CHECK(rdt->l3_schema == "L3:0=3");
  CHECK(rdt->memory_schema == "MB:0=50;1=70");
}

TEST_CASE("a class that others may be in keeps its own schema", "[cli][resctrl]") {
  std::optional<IntelRdt> rdt = IntelRdt{.class_id = "gold"};
  CHECK_THROWS_AS((RdtFlags{.l3_schema = "L3:0=3", .memory_schema = {}}.apply(rdt)), Error);
  CHECK(rdt->l3_schema.empty());
}
