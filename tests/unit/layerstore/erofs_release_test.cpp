#include <catch2/catch.hpp>

#include "base/error.h"
#include "erofs/erofs_mount.h"
#include "error_of.h"

namespace lay::layerstore {

TEST_CASE("kernel releases are read with whatever distributions append", "[layerstore][erofs]") {
  CHECK(parse_kernel_release("6.12.41+deb13-amd64") == KernelRelease{6, 12, 41});
  CHECK(parse_kernel_release("6.18.44-fc-v769") == KernelRelease{6, 18, 44});
  CHECK(parse_kernel_release("6.13.0-rc1") == KernelRelease{6, 13, 0});
  CHECK(parse_kernel_release("7.0") == KernelRelease{7, 0, 0});
  CHECK(parse_kernel_release("5.10-custom") == KernelRelease{5, 10, 0});
  for (const char* text : {"", "linux", "6", "6.x"})
    CHECK(test::error_of([&] { parse_kernel_release(text); }).code() == Errc::invalid);
}

TEST_CASE("a kernel that a mount would crash is never asked to mount", "[layerstore][erofs]") {
  for (const KernelRelease release :
       {KernelRelease{6, 12, 1}, KernelRelease{6, 12, 0}, KernelRelease{6, 11, 11}, KernelRelease{6, 1, 140},
        KernelRelease{5, 15, 0}})
    CHECK(why_not_mountable(release));
  for (const KernelRelease release :
       {KernelRelease{6, 12, 2}, KernelRelease{6, 13, 0}, KernelRelease{7, 0, 0}})
    CHECK_FALSE(why_not_mountable(release));
}

}  // namespace lay::layerstore
