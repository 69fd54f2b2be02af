#include "containers/written_size.h"

#include "base/syscalls.h"
#include "layerstore/usage.h"

namespace lay::cli {

std::uint64_t written_size(const runner::Container& container) {
  return layerstore::disk_size(sys::open_dir(container.dir(), "upper"));
}

}  // namespace lay::cli
