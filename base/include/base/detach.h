#pragma once

namespace lay {

/// What a detached process has of the caller's descriptors. What lay did not open itself it never has: a test
/// runner's or a shell's pipes would wait for it.
enum class Descriptors {
  own,   ///< those that lay opened
  none,  ///< nothing: by the time detach() returns, no lock of the caller has another holder
};

/// Makes a process that outlives the caller: a grandchild in a session of its own, at "/", with /dev/null as
/// standard input, output and error. True in that process, false in the caller.
bool detach(Descriptors kept);

}  // namespace lay
