#pragma once

#include "base/unique_fd.h"
#include "process/process.h"
#include "runner/oci.h"

namespace lay::runner {

/// A container that was made and waits for its start. Its first process is killed with `process`, unless that
/// is left.
struct OciCreated {
  ChildProcess process;
  UniqueFd console;  ///< master of its terminal; empty without one, or when the console socket got it
};

/// Who gets the container's terminal, if it has one.
enum class OciTerminal {
  sent,  ///< whoever listens at the console socket
  kept,  ///< without such a socket the caller
};

OciCreated make_oci_container(const OciStore& store, const OciCreateRequest& request, OciTerminal terminal);

/// Sends the master of a terminal, as runc's docs/terminals.md has it. Throws what keeps it from being sent.
void send_to_console_socket(const std::string& path, const UniqueFd& master);

}  // namespace lay::runner
