#pragma once

namespace lay {

/// Lets this process open as many files as it ever may: shells allow 1024 by habit only. When that cannot be
/// had, opening says so.
void raise_file_limit();

}  // namespace lay
