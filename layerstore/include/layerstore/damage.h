#pragma once

#include "base/error.h"

/// What a failure to read something of the store says of it. What the machine is short of and the user's wish
/// to stop say nothing.
namespace lay::layerstore {

/// Whether the bytes were read, and are not what they should be.
bool is_wrong(const Error& error);

/// Whether a disk or a file system cannot give the bytes, as with a bad sector.
bool is_unreadable(const Error& error);

/// Whether what was read is damaged, for one of these reasons or because it is missing.
bool is_damage(const Error& error);

/// Whether a transfer that failed so may go on later: what came until then is worth keeping.
bool may_pass(const Error& error);

}  // namespace lay::layerstore
