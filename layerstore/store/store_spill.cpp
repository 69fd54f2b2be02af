#include "layerstore/store_spill.h"

#include "base/syscalls.h"

namespace lay::layerstore {

Spill spill_in(const Store& store) {
  const auto open_file = [path = store.path() + "/ingest"] {
    const UniqueFd ingest = sys::open_dir(sys::cwd(), path);
    return spill_beside(ingest).open_file();
  };
  return {.open_file = open_file, .bound = std::size_t{1} * 1024 * 1024};
}

}  // namespace lay::layerstore
