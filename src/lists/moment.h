#pragma once

#include <string>

#include "base/text.h"

namespace lay::cli {

/// A moment as --since and --until have it: RFC 3339 ("2026-11-30T12:00:00Z"; of local time without a zone),
/// a date, seconds since 1970 (with a fraction), or how long ago ("10m", "1h30m", "90s"). Throws UsageError,
/// which names `flag`.
Time parse_moment(const std::string& flag, const std::string& text);

}  // namespace lay::cli
