#pragma once

namespace lay::runner {

/// Makes a process that outlives the caller: a grandchild in a session of its own, at "/", with /dev/null as
/// standard input, output and error, and without the descriptors that lay did not open itself (a test
/// runner's or a shell's pipes would wait for it). True in that process, false in the caller.
bool detach();

}  // namespace lay::runner
