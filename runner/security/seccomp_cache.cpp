#include "security/seccomp_cache.h"

#include <fcntl.h>
#include <linux/bpf_common.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include <cstring>
#include <optional>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/sha256.h"
#include "base/syscalls.h"
#include "security/seccomp_compile.h"
#include "spec/seccomp_json.h"

namespace lay::runner {

namespace {

constexpr std::size_t kHashSize = 64;  // in hexadecimal digits
constexpr std::size_t kMost = kHashSize + 2 * sizeof(std::uint32_t) + BPF_MAXINSNS * sizeof(sock_filter);

/// What the program depends on: rules, kernel (which actions it has) and this lay.
std::string name_of_program(const Seccomp& seccomp) {
  ::utsname kernel{};
  if (::uname(&kernel) < 0) throw Error::from_errno("ask for the kernel's release");
  return sha256_hex(fmt::format("{}\n{}\n{}\n{}", LAY_VERSION, kernel.release, kernel.version,
                                dump_json(seccomp_to_json(seccomp))));
}

/// Root's alone: whoever writes there decides what containers may call.
std::optional<UniqueFd> open_folder(const std::string& folder) {
  if (folder.empty()) return std::nullopt;
  sys::try_mkdir_at(sys::cwd(), folder, 0700);
  UniqueFd fd = sys::open_at(sys::cwd(), folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  const struct ::stat info = sys::stat_of(fd);
  if (info.st_uid != 0 || (info.st_mode & 022) != 0) return std::nullopt;
  return fd;
}

std::string pack(const SeccompFilter& filter) {
  std::string body(sizeof(std::uint32_t), '\0');
  const std::uint32_t flags = filter.flags;
  std::memcpy(body.data(), &flags, sizeof flags);
  body.append(reinterpret_cast<const char*>(filter.program.data()),
              filter.program.size() * sizeof(sock_filter));
  return sha256_hex(body) + body;
}

std::optional<SeccompFilter> unpack(std::string_view text) {
  if (text.size() <= kHashSize + sizeof(std::uint32_t)) return std::nullopt;
  std::string_view body = text.substr(kHashSize);
  if (sha256_hex(body) != text.substr(0, kHashSize)) return std::nullopt;
  std::uint32_t flags = 0;
  std::memcpy(&flags, body.data(), sizeof flags);
  body.remove_prefix(sizeof flags);
  if (body.size() % sizeof(sock_filter) != 0) return std::nullopt;
  SeccompFilter filter{.program = std::vector<sock_filter>(body.size() / sizeof(sock_filter)),
                       .flags = flags};
  std::memcpy(filter.program.data(), body.data(), body.size());
  return filter;
}

std::optional<SeccompFilter> read_program(const UniqueFd& folder, const std::string& name) {
  try {
    const auto file = sys::try_open_at(folder, name, O_RDONLY | O_NOFOLLOW);
    return file ? unpack(sys::read_all(*file, kMost)) : std::nullopt;
  } catch (const Error&) {
    return std::nullopt;  // it is compiled then
  }
}

void keep_program(const UniqueFd& folder, const std::string& name, const SeccompFilter& filter) {
  try {
    AtomicFile file(folder, name, 0600);
    file.write(pack(filter));
    file.publish();
  } catch (const Error&) {
    // the next start compiles it again
  }
}

std::optional<UniqueFd> try_open_folder(const std::string& folder) {
  try {
    return open_folder(folder);
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace

SeccompFilter compile_seccomp_cached(const Seccomp& seccomp, const std::string& folder) {
  const std::optional<UniqueFd> cache = try_open_folder(folder);
  if (!cache) return compile_seccomp(seccomp);
  const std::string name = name_of_program(seccomp);
  if (auto kept = read_program(*cache, name)) return std::move(*kept);
  SeccompFilter filter = compile_seccomp(seccomp);
  keep_program(*cache, name, filter);
  return filter;
}

}  // namespace lay::runner
