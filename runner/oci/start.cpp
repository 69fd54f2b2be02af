#include "base/error.h"
#include "oci/first_process.h"
#include "oci/store.h"

namespace lay::runner {

void oci_start(const OciStore& store, const std::string& id) {
  const OciContainer container = store.find(id);
  with_context(fmt::format("start '{}'", id), [&] {
    const FileLock lock = lock_oci(container);
    const OciStatus status = container.status();
    if (status != OciStatus::created)
      throw Error::make(Errc::invalid, "cannot start a container that is {}", to_string(status))
          .with_hint("only one that is created can be started, and once");
    const ParentEnd first = connect_for_start(container.dir());
    first.let_go();
    first.wait_for_exec();
  });
}

}  // namespace lay::runner
