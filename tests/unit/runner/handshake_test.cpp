#include "process/handshake.h"

#include <fcntl.h>

#include <catch2/catch.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/syscalls.h"
#include "process/fd_message.h"

namespace lay::runner {

TEST_CASE("why a child ended is known even when it never heard that it may go on", "[runner][handshake]") {
  Handshake made = make_handshake();
  std::optional<ChildEnd> child(std::move(made.child));
  made.parent.let_go();  // never read
  child->send_error(Error(Errc::not_found, "open '/no/such/folder': No such file or directory"));
  child.reset();
  CHECK_THROWS_WITH(made.parent.wait_for_exec(), Catch::Contains("/no/such/folder"));
}

TEST_CASE("who ends without a word has executed the command only where its own end says so",
          "[runner][handshake]") {
  const bool has_reported = GENERATE(false, true);
  Handshake made = make_handshake();
  made.child.send_note("one");
  if (has_reported) made.child.report_executed();
  { const ChildEnd gone = std::move(made.child); }
  if (has_reported)
    CHECK(made.parent.wait_for_report() == std::vector<std::string>{"one"});
  else
    CHECK_THROWS_WITH(made.parent.wait_for_report(), Catch::Contains("ended before"));
}

TEST_CASE("to report to somebody who is gone is no failure", "[runner][handshake]") {
  Handshake made = make_handshake();
  { const ParentEnd gone = std::move(made.parent); }
  made.child.report_executed();
}

TEST_CASE("descriptors are handed over with the word to go on, none or many", "[runner][handshake]") {
  Handshake made = make_handshake();
  made.parent.let_go();
  std::vector<UniqueFd> fds;
  for (std::size_t i = 0; i < kMaxMessageFds; ++i)
    fds.push_back(sys::open_at(sys::cwd(), i % 2 == 0 ? "/dev/null" : "/dev/zero", O_RDONLY));
  made.parent.hand_over(fds);
  const auto none = made.child.take_over();
  const auto many = made.child.take_over();
  REQUIRE(none);
  CHECK(none->empty());
  REQUIRE(many);
  REQUIRE(many->size() == fds.size());
  for (std::size_t i = 0; i < fds.size(); ++i)
    CHECK(sys::stat_of((*many)[i]).st_rdev == sys::stat_of(fds[i]).st_rdev);

  fds.push_back(sys::open_at(sys::cwd(), "/dev/null", O_RDONLY));
  CHECK_THROWS_AS(made.parent.hand_over(fds), Error);
  { const ParentEnd gone = std::move(made.parent); }
  CHECK_FALSE(made.child.take_over());
}

}  // namespace lay::runner
