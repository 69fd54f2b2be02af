#include <linux/capability.h>

#include <catch2/catch.hpp>

#include "base/error.h"
#include "error_of.h"
#include "security/capabilities.h"

using namespace lay;
using namespace lay::runner;

TEST_CASE("a capability is known by its name, with or without CAP_ and in any case",
          "[runner][capabilities]") {
  CHECK(capability_number("CAP_CHOWN") == CAP_CHOWN);
  CHECK(capability_number("net_raw") == CAP_NET_RAW);
  CHECK(capability_number("Cap_Checkpoint_Restore") == CAP_CHECKPOINT_RESTORE);
  CHECK(capability_number("SETFCAP") == CAP_SETFCAP);
}

TEST_CASE("an unknown capability is refused by name, made printable", "[runner][capabilities]") {
  const Error error = test::error_of([] { capability_number("CAP_\x1b[2J"); });
  CHECK(error.code() == Errc::invalid);
  CHECK(error.message() == "unknown capability 'CAP_\\x1b[2J'");
  CHECK_THROWS_AS(capability_number(""), Error);
  CHECK_THROWS_AS(capability_number("CAP_CAP_CHOWN"), Error);
}

TEST_CASE("the default set has eleven capabilities and leaves inheritable and ambient empty",
          "[runner][capabilities]") {
  const Capabilities capabilities = default_capabilities();
  CHECK(capabilities.bounding.size() == 11);
  CHECK(capabilities.effective == capabilities.bounding);
  CHECK(capabilities.permitted == capabilities.bounding);
  CHECK(capabilities.inheritable.empty());
  CHECK(capabilities.ambient.empty());
}
