#pragma once

#include <chrono>
#include <memory>

#include "codec/inflate.h"
#include "codec/raw_inflater.h"

namespace lay::layerstore {

/// What was computed, or throws corrupt.
InflateStep checked_step(const RawStep& step);

/// Runs `inner` in a process of its own that can do nothing but compute: it has no descriptor but a socket
/// to lay, and may only read, write and exit (seccomp(2), SECCOMP_MODE_STRICT). Compressed bytes from a
/// stranger meet nothing there that they could harm: a crash, a forbidden call or a step that takes longer
/// than `patience` becomes Errc::corrupt. The process ends with the inflater, or with lay.
std::unique_ptr<Inflater> make_sandboxed_inflater(
    std::unique_ptr<RawInflater> inner, std::chrono::milliseconds patience = std::chrono::seconds(60));

}  // namespace lay::layerstore
