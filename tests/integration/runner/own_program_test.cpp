#include "process/own_program.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>

#include "base/unique_fd.h"

namespace lay::runner {

TEST_CASE("lay's program as children have it cannot be made writable", "[runner][process]") {
  const UniqueFd program = open_own_program();
  ::mount_attr attributes{};
  attributes.attr_clr = MOUNT_ATTR_RDONLY;
  CHECK(::syscall(SYS_mount_setattr, program.get(), "", AT_EMPTY_PATH, &attributes, sizeof attributes) < 0);
  CHECK(errno == EINVAL);
  struct ::statvfs seen {};
  REQUIRE(::fstatvfs(program.get(), &seen) == 0);
  CHECK((seen.f_flag & ST_RDONLY) != 0);
}

}  // namespace lay::runner
