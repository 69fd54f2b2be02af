#include "process/command.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/error.h"
#include "base/text.h"

namespace lay::runner {

namespace {

constexpr const char* kDefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// execve(2) wants pointers to char, though it changes nothing.
std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  result.reserve(texts.size() + 1);
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

bool is_folder(const std::string& path) {
  struct ::stat info {};
  return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

bool is_there(const std::string& path) {
  struct ::stat info {};
  return ::stat(path.c_str(), &info) == 0;
}

Error not_invocable(const std::string& path, int error_number) {
  if (is_folder(path))
    return Error::make(Errc::not_invocable, "command '{}' is a folder", path)
        .with_hint("name a program, with its arguments behind it");
  switch (error_number) {
    case ENOENT:
      return Error::make(Errc::not_invocable,
                         "command '{}' names an interpreter that is not in the container", path)
          .with_hint("a script's first line, or the loader of a program built for another system");
    case ENOEXEC:
      return Error::make(Errc::not_invocable, "command '{}' is not a program for this machine", path)
          .with_hint("a script needs a first line such as '#!/bin/sh'; a program the right architecture");
    case EACCES:
    case EPERM:
      return Error::make(Errc::not_invocable, "command '{}' may not be executed by this user", path)
          .with_hint("chmod +x it, or choose another user");
    default:
      return Error(Errc::not_invocable, Error::from_number(error_number, "execute '" + path + "'").message(),
                   error_number);
  }
}

bool means_absent(const std::string& path, int error_number) {
  return (error_number == ENOENT && !is_there(path)) || error_number == ENOTDIR;
}

}  // namespace

std::string environment_value(const std::vector<std::string>& env, const std::string& name) {
  const std::string prefix = name + "=";
  const auto entry = std::find_if(env.rbegin(), env.rend(),
                                  [&](const std::string& text) { return text.starts_with(prefix); });
  return entry == env.rend() ? std::string() : entry->substr(prefix.size());
}

void add_default(std::vector<std::string>& env, const std::string& name, const std::string& value) {
  const std::string prefix = name + "=";
  const bool is_set =
      std::any_of(env.begin(), env.end(), [&](const std::string& text) { return text.starts_with(prefix); });
  if (!is_set) env.push_back(prefix + value);
}

std::vector<std::string> candidates(const std::string& command, const std::vector<std::string>& env) {
  if (command.find('/') != std::string::npos) return {command};
  std::string path = environment_value(env, "PATH");
  if (path.empty()) path = kDefaultPath;
  std::vector<std::string> result;
  for (const std::string& folder : split(path, ':'))
    result.push_back(folder.empty() ? "./" + command : folder + "/" + command);
  return result;
}

void execute_command(const std::vector<std::string>& args, const std::vector<std::string>& env) {
  if (args.empty() || args.front().empty())
    throw Error(Errc::invalid, "there is no command to run").with_hint("name one, or set one in the image");
  std::vector<std::string> arguments = args;
  std::vector<std::string> environment = env;
  const std::vector<char*> argv = pointers(arguments);
  const std::vector<char*> envp = pointers(environment);

  // A file that may not be executed does not end the search, as in a shell, but it is
  // what is reported at the end.
  std::string refused;
  for (const std::string& path : candidates(args.front(), env)) {
    ::execve(path.c_str(), argv.data(), envp.data());
    const int number = errno;
    if (means_absent(path, number)) continue;
    if (number != EACCES) throw not_invocable(path, number);
    if (refused.empty()) refused = path;
  }
  if (!refused.empty()) throw not_invocable(refused, EACCES);
  throw Error::make(Errc::no_command, "command '{}' not found in the container", args.front())
      .with_hint("is it installed in the image, and in a folder of its PATH?");
}

}  // namespace lay::runner
