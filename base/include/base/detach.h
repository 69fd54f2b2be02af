#pragma once

namespace lay {

/// What a detached process has of the caller's descriptors. What lay did not open itself it must not keep: a
/// test runner's or a shell's pipes would wait for it.
enum class Descriptors {
  all,   ///< until it has the time for close_inherited() and set_process_title()
  own,   ///< those that lay opened
  none,  ///< nothing: by the time detach() returns, no lock of the caller has another holder
};

/// Makes a process that outlives the caller: a grandchild in a session of its own, at "/", with /dev/null as
/// standard input, output and error, and without the words of the command line. True in that process, false
/// in the caller.
bool detach(Descriptors kept);

/// Closes what this process has from whoever started lay, but for the standard streams.
void close_inherited();

}  // namespace lay
