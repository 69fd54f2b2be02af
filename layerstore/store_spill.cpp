#include "layerstore/store_spill.h"

#include "base/syscalls.h"

namespace lay::layerstore {

Spill spill_in(const Store& store) {
  return {.open_file = [path = store.path() + "/ingest"] {
    const UniqueFd ingest = sys::open_dir(sys::cwd(), path);
    return spill_beside(ingest).open_file();
  }};
}

}  // namespace lay::layerstore
