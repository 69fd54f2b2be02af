#pragma once

namespace lay::runner {

/// Throws invalid unless the `count` descriptors from 3 on are open.
void check_preserved(unsigned count);

}  // namespace lay::runner
