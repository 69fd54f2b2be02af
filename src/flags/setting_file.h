#pragma once

#include <functional>
#include <string>

namespace lay::cli {

/// Reads files of settings as docker has them (--env-file, --label-file): gives each line to `take`, without
/// the blanks before it, comments ("#") and empty lines. `flag` names whose file it is: "--env-file". Throws
/// not_found, invalid for a name with a blank, and whatever `take` throws, with file and line.
void read_setting_file(const char* flag, const std::string& path,
                       const std::function<void(const std::string& line)>& take);

}  // namespace lay::cli
