#pragma once

namespace lay::runner {

/// Gives back what a process no longer needs that will do little but wait from now on: free heap, and the
/// pages of its code, which it takes from the page cache again one by one where it goes on. A supervisor is
/// left with less than a megabyte that is its alone.
void release_idle_memory() noexcept;

}  // namespace lay::runner
