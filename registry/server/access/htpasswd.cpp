#include "server/access/htpasswd.h"

#include <crypt.h>
#include <fcntl.h>

#include <memory>
#include <vector>

#include "base/error.h"
#include "base/shared_library.h"
#include "base/syscalls.h"
#include "base/text.h"

namespace lay::registry::server {

namespace {

constexpr std::size_t kMaxFile = 4 * 1024 * 1024;
constexpr std::size_t kBcryptLength = 60;
constexpr const char* kHint = "make it with: htpasswd -B -c FILE USER";

using Crypt = decltype(&::crypt_r);

/// libcrypt knows bcrypt on Debian; opened here, since `run` shall not load it.
Crypt crypt_function() {
  static const Crypt function = [] {
    Crypt found = nullptr;
    SharedLibrary("libcrypt.so.1", "checking passwords", "libcrypt1").load("crypt_r", found);
    return found;
  }();
  return function;
}

bool is_bcrypt(std::string_view hash) {
  return hash.size() == kBcryptLength && hash.starts_with("$2") && hash[3] == '$' &&
         (hash[2] == 'y' || hash[2] == 'b' || hash[2] == 'a');
}

bool equal_in_constant_time(std::string_view left, std::string_view right) {
  if (left.size() != right.size()) return false;
  int difference = 0;
  for (std::size_t i = 0; i < left.size(); ++i) difference |= left[i] ^ right[i];
  return difference == 0;
}

bool has_hash(const std::string& password, const std::string& hash) {
  const auto data = std::make_unique<crypt_data>();  // 32 KiB
  const char* got = crypt_function()(password.c_str(), hash.c_str(), data.get());
  return got != nullptr && equal_in_constant_time(got, hash);
}

}  // namespace

std::map<std::string, std::string> parse_htpasswd(std::string_view text) {
  std::map<std::string, std::string> result;
  std::size_t number = 0;
  for (std::string line : split(text, '\n')) {
    ++number;
    if (line.ends_with('\r')) line.pop_back();
    if (line.empty() || line.front() == '#') continue;
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos || colon == 0)
      throw Error::make(Errc::invalid, "line {}: expected USER:HASH", number).with_hint(kHint);
    const std::string hash = line.substr(colon + 1);
    if (!is_bcrypt(hash))
      throw Error::make(Errc::invalid, "line {}: the hash of '{}' is not bcrypt", number,
                        printable(line.substr(0, colon)))
          .with_hint(kHint);
    result[line.substr(0, colon)] = hash;
  }
  return result;
}

Htpasswd::Htpasswd(std::string path, std::function<void(const Error&)> report)
    : path_(std::move(path)), report_(std::move(report)) {
  crypt_function();
  read(sys::open_at(sys::cwd(), path_, O_RDONLY));
}

Htpasswd::Version Htpasswd::version_of(const UniqueFd& file) {
  const struct ::stat status = sys::stat_of(file);
  return {.inode = status.st_ino,
          .size = status.st_size,
          .seconds = status.st_mtim.tv_sec,
          .nanoseconds = status.st_mtim.tv_nsec};
}

void Htpasswd::read(const UniqueFd& file) {
  const Version version = version_of(file);
  hashes_ = with_context(fmt::format("password file '{}'", path_),
                         [&] { return parse_htpasswd(sys::read_all(file, kMaxFile)); });
  read_ = version;
  reported_.reset();
  ++generation_;
}

/// Reads the file when it is another one than was read.
void Htpasswd::refresh() {
  Version now;
  try {
    const UniqueFd file = sys::open_at(sys::cwd(), path_, O_RDONLY);
    now = version_of(file);
    if (now != read_ && now != reported_) read(file);
  } catch (Error& error) {
    if (reported_ == now) return;
    reported_ = now;
    report_(error.with_hint("mend the file; until then the users that were read before stay in force"));
  }
}

unsigned Htpasswd::generation() {
  const std::lock_guard lock(mutex_);
  refresh();
  return generation_;
}

bool Htpasswd::verify(const std::string& user, const std::string& password) {
  if (password.find('\0') != std::string::npos) return false;
  std::string hash;
  bool is_known = false;
  {
    const std::lock_guard lock(mutex_);
    if (hashes_.empty()) return false;
    hash = hashes_.begin()->second;  // of somebody: an unknown user shall take as long
    if (const auto found = hashes_.find(user); found != hashes_.end()) {
      hash = found->second;
      is_known = true;
    }
  }
  const bool matches = has_hash(password, hash);
  return is_known && matches;
}

}  // namespace lay::registry::server
