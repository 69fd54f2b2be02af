#pragma once

namespace lay {

/// From here on sys::fsync() and sys::syncfs() of this process and its forks do nothing: for tests, and
/// for machines that are thrown away.
void stop_syncing();
/// False since stop_syncing(), in this process or in the one that forked it.
bool is_syncing();

}  // namespace lay
