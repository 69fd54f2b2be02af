#include "overlay/symlink_walk.h"

#include <iterator>
#include <vector>

#include "base/cancel.h"
#include "base/error.h"
#include "base/text.h"

namespace lay::layerstore {

void prepend_components(std::deque<std::string>& rest, std::string_view path) {
  std::vector<std::string> parts = split(path, '/');
  rest.insert(rest.begin(), std::make_move_iterator(parts.begin()), std::make_move_iterator(parts.end()));
}

void require_few_steps(std::uint64_t steps) {
  constexpr std::uint64_t kMost = 2'000'000;
  throw_if_cancelled();
  if (steps > kMost)
    throw Error(Errc::unsupported, "its entries lead through more symlinks than can be followed");
}

}  // namespace lay::layerstore
