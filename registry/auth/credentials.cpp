#include "registry/credentials.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <utility>

#include "auth/auth_file.h"
#include "auth/credential_helper.h"
#include "base/atomic_file.h"
#include "base/error.h"
#include "base/make_folders.h"
#include "base/syscalls.h"
#include "registry/registries_conf.h"

namespace lay::registry {

namespace {

/// A variable of the environment; empty and unset are the same.
std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

std::string name_of(const std::string& path) {
  return path.substr(path.rfind('/') + 1);  // npos + 1 is 0
}

AuthFile::Format format_of(const std::string& path) {
  return name_of(path) == ".dockercfg" ? AuthFile::Format::legacy : AuthFile::Format::config;
}

/// Empty when the file is not there; everything else that is wrong with it throws.
std::optional<AuthFile> read_file(const std::string& path) {
  return with_context(fmt::format("auth file '{}'", path), [&]() -> std::optional<AuthFile> {
    const auto fd = sys::try_open_at(sys::cwd(), path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (!fd) return std::nullopt;
    if (!S_ISREG(sys::stat_of(*fd).st_mode)) throw Error(Errc::invalid, "not a regular file");
    const std::string text = sys::read_all(*fd, kMaxJsonBytes);
    if (text.find_first_not_of(" \t\r\n") == std::string::npos) return AuthFile("{}", format_of(path));
    return AuthFile(text, format_of(path));
  });
}

/// For the user alone, as all above it that is made.
UniqueFd make_folder(const std::string& path) {
  make_folders(path, 0700, 0700);
  return sys::open_at(sys::cwd(), path, O_RDONLY | O_DIRECTORY);
}

/// The new file is renamed over the old name: a symlink there is replaced, not followed.
void write_file(const std::string& path, const AuthFile& file) {
  with_context(fmt::format("auth file '{}'", path), [&] {
    const UniqueFd folder = make_folder(folder_of(path));
    replace_file(folder, name_of(path), file.text(), 0600);
  });
}

/// docker's own file names the Hub by its old address.
std::string key_for(const std::string& path, const std::string& domain) {
  const bool is_docker_file = name_of(path) == "config.json" || name_of(path) == ".dockercfg";
  return domain == "docker.io" && is_docker_file ? "https://index.docker.io/v1/" : domain;
}

/// Who keeps the logins of a host instead of the file.
std::optional<CredentialHelper> helper_for(const AuthFile& file, const std::string& domain) {
  std::string name = file.helper_of(domain);
  if (name.empty()) name = file.creds_store();
  if (name.empty()) return std::nullopt;
  return CredentialHelper(std::move(name));
}

/// The helper of the host alone is asked before the file's own entries, the one for all hosts after them.
std::optional<Credentials> find_in(const AuthFile& file, const std::string& domain,
                                   const std::string& repository) {
  if (!file.helper_of(domain).empty()) return helper_for(file, domain)->get(domain);
  if (auto credentials = file.find(domain, repository)) return credentials;
  const auto helper = helper_for(file, domain);
  return helper ? helper->get(domain) : std::nullopt;
}

}  // namespace

std::vector<std::string> default_auth_files() {
  if (const std::string chosen = variable("REGISTRY_AUTH_FILE"); !chosen.empty()) return {chosen};
  std::vector<std::string> files;
  const std::string runtime = variable("XDG_RUNTIME_DIR");
  files.push_back(runtime.empty() ? fmt::format("/run/containers/{}/auth.json", ::getuid())
                                  : runtime + "/containers/auth.json");
  const std::string home = variable("HOME");
  const std::string config = variable("XDG_CONFIG_HOME");
  if (!config.empty() || !home.empty())
    files.push_back((config.empty() ? home + "/.config" : config) + "/containers/auth.json");
  const std::string docker = variable("DOCKER_CONFIG");
  if (!docker.empty() || !home.empty())
    files.push_back((docker.empty() ? home + "/.docker" : docker) + "/config.json");
  if (!home.empty()) files.push_back(home + "/.dockercfg");
  return files;
}

CredentialStore::CredentialStore(std::optional<std::string> authfile)
    : CredentialStore(std::move(authfile), read_registries_conf().credential_helpers) {}

CredentialStore::CredentialStore(std::optional<std::string> authfile, std::vector<std::string> helpers)
    : is_chosen_(authfile.has_value()),
      helpers_(std::move(helpers)),
      files_(authfile ? std::vector<std::string>{*std::move(authfile)} : default_auth_files()) {}

std::optional<Credentials> CredentialStore::find(const std::string& domain,
                                                 const std::string& repository) const {
  for (const std::string& helper : helpers_) {
    auto found = helper == RegistriesConf::kAuthFiles ? find_in_files(domain, repository)
                                                      : CredentialHelper(helper).get(domain);
    if (found) return found;
  }
  return std::nullopt;
}

std::optional<Credentials> CredentialStore::find_in_files(const std::string& domain,
                                                          const std::string& repository) const {
  for (const std::string& path : files_) {
    const auto file = read_file(path);
    if (!file && is_chosen_)
      throw Error::make(Errc::not_found, "no auth file '{}'", path)
          .with_hint("lay login --authfile makes one");
    if (!file) continue;
    const auto found =
        with_context(fmt::format("auth file '{}'", path), [&] { return find_in(*file, domain, repository); });
    if (found) return found;
  }
  return std::nullopt;
}

void CredentialStore::save(const std::string& domain, const Credentials& credentials) const {
  if (helpers_.empty() || helpers_.front() == RegistriesConf::kAuthFiles)
    return save_in_file(domain, credentials);
  CredentialHelper(helpers_.front()).store(domain, credentials);
}

void CredentialStore::save_in_file(const std::string& domain, const Credentials& credentials) const {
  const std::string& path = files_.front();
  auto file = read_file(path);
  if (!file) file.emplace("{}", format_of(path));
  const bool is_kept_elsewhere = with_context(fmt::format("auth file '{}'", path), [&] {
    if (const auto helper = helper_for(*file, domain)) {
      helper->store(domain, credentials);
      return true;
    }
    file->set(domain, key_for(path, domain), credentials);
    return false;
  });
  if (!is_kept_elsewhere) write_file(path, *file);
}

bool CredentialStore::erase(const std::string& domain) const {
  bool found = false;
  for (const std::string& helper : helpers_) {
    const bool had = helper == RegistriesConf::kAuthFiles ? erase_from_files(domain)
                                                          : CredentialHelper(helper).erase(domain);
    found = found || had;
  }
  return found;
}

bool CredentialStore::erase_from_files(const std::string& domain) const {
  bool found = false;
  for (const std::string& path : files_) {
    auto file = read_file(path);
    if (!file) continue;
    with_context(fmt::format("auth file '{}'", path), [&] {
      if (const auto helper = helper_for(*file, domain)) found = helper->erase(domain) || found;
      if (!file->erase(domain)) return;
      write_file(path, *file);
      found = true;
    });
  }
  return found;
}

void CredentialStore::erase_all() const {
  for (const std::string& path : files_) {
    auto file = read_file(path);
    if (!file) continue;
    with_context(fmt::format("auth file '{}'", path), [&] {
      const std::vector<std::string> domains = file->domains();
      for (const std::string& domain : domains) {
        if (const auto helper = helper_for(*file, domain)) helper->erase(domain);
        file->erase(domain);
      }
      if (!domains.empty()) write_file(path, *file);
    });
  }
}

}  // namespace lay::registry
