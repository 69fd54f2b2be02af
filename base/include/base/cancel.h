#pragma once

namespace lay {

/// From now on SIGINT and SIGTERM set a flag instead of ending the process; a second one ends it at once.
void cancel_on_signals();
bool cancel_requested() noexcept;
/// Which signal asked to stop; 0: none has.
int cancel_signal() noexcept;
/// For poll(2) beside what else is waited for: readable once the user has asked to stop. -1, which poll(2)
/// passes over, before cancel_on_signals(). Stays open.
int cancel_descriptor() noexcept;
/// Throws Errc::cancelled when the user asked to stop. Long loops call it between two blocks.
void throw_if_cancelled();

}  // namespace lay
