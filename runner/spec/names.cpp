#include "spec/names.h"

#include <array>
#include <utility>

namespace lay::runner {

namespace {

/// runtime-spec config-linux.md, "Namespaces".
constexpr std::array<std::pair<NamespaceType, std::string_view>, 8> kNamespaces{{
    {NamespaceType::pid, "pid"},
    {NamespaceType::network, "network"},
    {NamespaceType::mount, "mount"},
    {NamespaceType::ipc, "ipc"},
    {NamespaceType::uts, "uts"},
    {NamespaceType::user, "user"},
    {NamespaceType::cgroup, "cgroup"},
    {NamespaceType::time, "time"},
}};

constexpr std::array<std::pair<SeccompProfile, std::string_view>, 3> kProfiles{{
    {SeccompProfile::builtin, "builtin"},
    {SeccompProfile::unconfined, "unconfined"},
    {SeccompProfile::listed, "listed"},
}};

template <class Table, class Value>
std::string name_in(const Table& table, Value value) {
  for (const auto& [key, name] : table)
    if (key == value) return std::string(name);
  return {};
}

template <class Value, class Table>
std::optional<Value> value_in(const Table& table, std::string_view name) {
  for (const auto& [key, word] : table)
    if (word == name) return key;
  return std::nullopt;
}

}  // namespace

std::string name_of(NamespaceType type) {
  return name_in(kNamespaces, type);
}
std::optional<NamespaceType> namespace_type(std::string_view name) {
  return value_in<NamespaceType>(kNamespaces, name);
}
std::string name_of(SeccompProfile profile) {
  return name_in(kProfiles, profile);
}
std::optional<SeccompProfile> seccomp_profile(std::string_view name) {
  return value_in<SeccompProfile>(kProfiles, name);
}

}  // namespace lay::runner
