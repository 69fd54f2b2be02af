#pragma once

#include <cstddef>

namespace lay {

/// A disk that cannot read back a part of a mapped temporary file would end the process by SIGBUS, without a
/// word. Of a block that is noted here it is said on stderr what failed, and the process exits with 1, at
/// once: what was under way is left as by any process that is killed. For any thread.
void explain_faults_in(const std::byte* block, std::size_t size);
/// The block, as it was noted, is not there any more.
void forget_faults_in(const std::byte* block);

}  // namespace lay
