#pragma once

namespace lay {

/// From now on SIGINT and SIGTERM set a flag instead of ending the process; a second one ends it at once.
void cancel_on_signals();
bool cancel_requested() noexcept;
/// Throws Errc::cancelled when the user asked to stop. Long loops call it between two blocks.
void throw_if_cancelled();

}  // namespace lay
