#include "process/handshake.h"

#include <catch2/catch.hpp>
#include <optional>

namespace lay::runner {

TEST_CASE("why a child ended is known even when it never heard that it may go on", "[runner][handshake]") {
  Handshake made = make_handshake();
  std::optional<ChildEnd> child(std::move(made.child));
  made.parent.let_go();  // never read
  child->send_error(Error(Errc::not_found, "open '/no/such/folder': No such file or directory"));
  child.reset();
  CHECK_THROWS_WITH(made.parent.wait_for_exec(), Catch::Contains("/no/such/folder"));
}

}  // namespace lay::runner
