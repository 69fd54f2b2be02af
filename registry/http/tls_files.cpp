#include "http/tls_files.h"

#include <fcntl.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "base/error.h"
#include "base/syscalls.h"

namespace lay::registry {

namespace {

constexpr std::size_t kMaxFile = 1024 * 1024;

std::vector<std::string> files_ending(const std::string& folder, const std::string& end) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().filename().string().ends_with(end)) names.push_back(entry.path().string());
  std::sort(names.begin(), names.end());
  return names;
}

std::string read_text(const std::string& path, std::size_t limit = kMaxFile) {
  return with_context("certificate", [&] {
    return sys::read_all(sys::open_at(sys::cwd(), path, O_RDONLY | O_NONBLOCK | O_NOCTTY), limit);
  });
}

std::string authorities_in(const std::string& folder) {
  std::string authorities;
  for (const std::string& path : files_ending(folder, ".crt")) authorities += read_text(path) + "\n";
  return authorities;
}

TlsFiles read_folder(const std::string& folder) {
  TlsFiles files{.authorities = authorities_in(folder)};
  const std::vector<std::string> keys = files_ending(folder, ".key");
  for (const std::string& path : files_ending(folder, ".cert")) {
    const std::string key = path.substr(0, path.size() - 5) + ".key";
    if (std::find(keys.begin(), keys.end(), key) == keys.end())
      throw Error::make(Errc::invalid, "client certificate '{}' has no key '{}'", path, key)
          .with_hint("a CA's certificate ends in .crt");
    files.certificate = path;
    files.key = key;
  }
  for (const std::string& key : keys)
    if (!std::filesystem::exists(key.substr(0, key.size() - 4) + ".cert"))
      throw Error::make(Errc::invalid, "key '{}' has no client certificate (.cert) beside it", key);
  return files;
}

}  // namespace

std::vector<std::string> cert_folders(const std::string& domain) {
  std::vector<std::string> folders;
  const char* config = std::getenv("XDG_CONFIG_HOME");
  const char* home = std::getenv("HOME");
  if (config != nullptr && *config != '\0')
    folders.push_back(std::string(config) + "/containers/certs.d/" + domain);
  else if (home != nullptr && *home != '\0')
    folders.push_back(std::string(home) + "/.config/containers/certs.d/" + domain);
  folders.push_back("/etc/containers/certs.d/" + domain);
  folders.push_back("/etc/docker/certs.d/" + domain);
  return folders;
}

namespace {

/// read(folder), and what it says of a folder that is not there or cannot be listed.
template <class Read>
auto reading(const std::string& folder, Read read) {
  try {
    return read(folder);
  } catch (const std::filesystem::filesystem_error& failure) {
    throw Error::make(failure.code() == std::errc::no_such_file_or_directory ? Errc::not_found : Errc::denied,
                      "certificates '{}': {}", folder, failure.code().message());
  }
}

std::optional<std::string> first_of(const std::vector<std::string>& folders) {
  for (const std::string& folder : folders) {
    std::error_code error;
    if (std::filesystem::is_directory(folder, error)) return folder;
  }
  return std::nullopt;
}

}  // namespace

TlsFiles read_tls_folder(const std::string& folder) {
  return reading(folder, read_folder);
}

TlsFiles read_tls_files(const std::vector<std::string>& folders) {
  const auto folder = first_of(folders);
  return folder ? read_tls_folder(*folder) : TlsFiles{};
}

std::string read_authorities(const std::vector<std::string>& folders) {
  const auto folder = first_of(folders);
  return folder ? reading(*folder, authorities_in) : "";
}

std::string read_usual_authorities(const char* file) {
  constexpr std::size_t kMaxBundle = 16 * kMaxFile;
  try {
    return file == nullptr ? "" : read_text(file, kMaxBundle) + "\n";
  } catch (const Error& error) {
    if (error.code() != Errc::not_found) throw;
    return "";
  }
}

}  // namespace lay::registry
