#pragma once

#include <fcntl.h>

#include <string>
#include <vector>

#include "base/json.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "base/unique_fd.h"

namespace lay::test {

/// What a server of the tests has written down so far: one JSON object a line in `folder`/requests.
inline std::vector<Json> read_requests(const UniqueFd& folder) {
  std::vector<Json> result;
  const auto log = sys::try_open_at(folder, "requests", O_RDONLY);
  if (!log) return result;
  for (const std::string& line : split(sys::read_all(*log, std::size_t{1} << 24), '\n'))
    if (!line.empty()) result.push_back(parse_json(line, "request"));
  return result;
}

}  // namespace lay::test
