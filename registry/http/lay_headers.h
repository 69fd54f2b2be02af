#pragma once

namespace lay::registry {

/// With a manifest that `lay serve` shows because a name of its store leads to it, and not because it was
/// pushed: what is pushed there has to be sent all the same, or it is gone with that name. In lower case, as
/// Headers::get() takes it.
inline constexpr const char* kNotPushedHeader = "lay-not-pushed";

}  // namespace lay::registry
