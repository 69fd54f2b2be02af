#include "flags/runtime_flags.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "base/error.h"
#include "base/text.h"
#include "flags/options.h"

namespace lay::cli {

namespace {

bool is_program(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::is_regular_file(path, ignored) && ::access(path.c_str(), X_OK) == 0;
}

/// As a shell looks for it; empty when there is none.
std::string find_program(const std::string& name) {
  if (name.find('/') != std::string::npos)
    return is_program(name) ? std::filesystem::absolute(name).lexically_normal().string() : std::string();
  const char* path = std::getenv("PATH");
  for (const std::string& folder : split(path == nullptr ? "/usr/sbin:/usr/bin:/sbin:/bin" : path, ':'))
    if (const std::string program = folder + "/" + name; is_program(program))
      return std::filesystem::absolute(program);
  return {};
}

}  // namespace

void RuntimeFlags::add_to(Parser& parser) {
  parser.add_option("--runtime", runtime, "another OCI runtime to run it with: crun, runc, runsc …")
      .type_name("PATH|NAME");
  parser.add_list("--runtime-flag", flags, "global flag for that runtime, without the leading --",
                  "FLAG[=VALUE]");
}

runner::RuntimeChoice RuntimeFlags::parse() const {
  if (runtime.empty()) {
    if (flags.empty()) return {};
    throw Error(Errc::invalid, "--runtime-flag is for a runtime that --runtime names")
        .with_hint("--runtime crun");
  }
  runner::RuntimeChoice choice{.program = find_program(runtime), .flags = {}};
  if (choice.program.empty())
    throw Error::make(Errc::not_found, "there is no runtime '{}'", printable(runtime))
        .with_hint("--runtime wants a name in PATH or a path; Debian has crun, runc and runsc");
  for (const std::string& flag : flags) choice.flags.push_back(flag.starts_with('-') ? flag : "--" + flag);
  return choice;
}

}  // namespace lay::cli
