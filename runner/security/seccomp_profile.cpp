#include "runner/seccomp_profile.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "spec/seccomp_json.h"

namespace lay::runner {

namespace {

constexpr int kMostErrno = 133;  // EHWPOISON, the last that has a name

/// GOARCH and libseccomp's name of this architecture.
#if defined(__x86_64__)
constexpr const char* kGoArch = "amd64";
constexpr const char* kSeccompArch = "SCMP_ARCH_X86_64";
#elif defined(__aarch64__)
constexpr const char* kGoArch = "arm64";
constexpr const char* kSeccompArch = "SCMP_ARCH_AARCH64";
#endif

bool contains(const std::vector<std::string>& list, const std::string& word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

const Json& filter_of(const Json& entry, const char* key) {
  static const Json empty = Json::object();
  const Json* filter = json_find(entry, key);
  return filter == nullptr ? empty : *filter;
}

bool is_included(const Json& filter, const SeccompAudience& audience) {
  for (const std::string& capability : json_strings(filter, "caps"))
    if (!contains(audience.capabilities, capability)) return false;
  const std::vector<std::string> arches = json_strings(filter, "arches");
  if (!arches.empty() && !contains(arches, kGoArch)) return false;
  const std::string kernel = json_string_or(filter, "minKernel", {});
  return kernel.empty() || is_kernel_at_least(audience.kernel, kernel);
}

bool is_excluded(const Json& filter, const SeccompAudience& audience) {
  for (const std::string& capability : json_strings(filter, "caps"))
    if (contains(audience.capabilities, capability)) return true;
  if (contains(json_strings(filter, "arches"), kGoArch)) return true;
  const std::string kernel = json_string_or(filter, "minKernel", {});
  return !kernel.empty() && is_kernel_at_least(audience.kernel, kernel);
}

/// podman may write the error by its name only.
void put_number_for_name(Json& object, const char* name_key, const char* number_key) {
  const std::string name = json_string_or(object, name_key, {});
  if (name.empty() || json_find(object, number_key) != nullptr) return;
  for (unsigned number = 1; number <= kMostErrno; ++number) {
    const char* known = ::strerrorname_np(static_cast<int>(number));
    if (known == nullptr || name != known) continue;
    object[number_key] = number;
    return;
  }
  throw Error::make(Errc::invalid, "'{}' is '{}', which is no error's name", name_key, printable(name));
}

/// The entry in the runtime-spec's form; early docker wrote a single "name".
Json plain_entry(Json entry) {
  if (const std::string name = json_string_or(entry, "name", {}); !name.empty()) {
    if (json_find(entry, "names") != nullptr) throw Error(Errc::invalid, "it has both 'name' and 'names'");
    entry["names"] = Json::array({name});
  }
  put_number_for_name(entry, "errno", "errnoRet");
  return entry;
}

std::vector<std::string> architectures_of(const Json& profile) {
  std::vector<std::string> listed = json_strings(profile, "architectures");
  const Json& map = json_array(profile, "archMap");
  if (!listed.empty() && !map.empty())
    throw Error(Errc::invalid, "it has both 'architectures' and 'archMap'").with_hint("one of them suffices");
  for (const Json& entry : map) {
    if (json_string(entry, "architecture") != kSeccompArch) continue;
    listed = json_strings(entry, "subArchitectures");
    listed.insert(listed.begin(), kSeccompArch);
  }
  return listed;
}

}  // namespace

bool is_kernel_at_least(std::string_view release, const std::string& least) {
  const std::vector<std::string> wanted = split(least, '.');
  const std::vector<std::string> present =
      split(release.substr(0, release.find_first_not_of("0123456789.")), '.');
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const auto least_part = parse_number(wanted[i]);
    if (!least_part)
      throw Error::make(Errc::invalid, "'minKernel' is '{}', which is no version", printable(least))
          .with_hint("\"4.8\" is one");
    const std::uint64_t part = i < present.size() ? parse_number(present[i]).value_or(0) : 0;
    if (part != *least_part) return part > *least_part;
  }
  return true;
}

Seccomp parse_seccomp_profile(const Json& profile, const SeccompAudience& audience) {
  Json plain{{"defaultAction", json_string(profile, "defaultAction")},
             {"architectures", architectures_of(profile)},
             {"syscalls", Json::array()}};
  for (const char* key : {"defaultErrnoRet", "defaultErrno", "flags", "listenerPath", "listenerMetadata"})
    if (const Json* value = json_find(profile, key)) plain[key] = *value;
  put_number_for_name(plain, "defaultErrno", "defaultErrnoRet");
  std::size_t number = 0;
  for (const Json& entry : json_array(profile, "syscalls"))
    with_context(fmt::format("entry {} of 'syscalls'", number++), [&] {
      Json chosen = plain_entry(entry);
      parse_seccomp_rule(chosen);  // wrong is wrong, whoever it is for
      if (is_included(filter_of(entry, "includes"), audience) &&
          !is_excluded(filter_of(entry, "excludes"), audience))
        plain["syscalls"].push_back(std::move(chosen));
    });
  return parse_seccomp(plain);
}

}  // namespace lay::runner
