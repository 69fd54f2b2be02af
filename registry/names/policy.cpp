#include "names/policy.h"

#include <fcntl.h>

#include <algorithm>
#include <cstdlib>

#include "base/error.h"
#include "base/json.h"
#include "base/syscalls.h"
#include "base/text.h"

namespace lay::registry {

namespace {

constexpr std::size_t kMaxFile = 1024 * 1024;

/// What a policy asks of the images of one scope.
struct Requirements {
  std::string scope;
  const Json& all;  ///< each has to be met
};

const Json* find_object(const Json& object, const std::string& key) {
  const Json* found = json_find(object, key.c_str());
  if (found != nullptr && !found->is_object())
    throw Error::make(Errc::invalid, "'{}' is not an object", printable(key));
  return found;
}

Requirements find_requirements(const Json& policy, const Reference& reference) {
  const Json* transports = find_object(policy, "transports");
  const Json* scopes = transports != nullptr ? find_object(*transports, "docker") : nullptr;
  if (scopes != nullptr)
    for (const std::string& scope : policy_scopes(reference))
      if (const Json* found = json_find(*scopes, scope.c_str()))
        return {.scope = scope.empty() ? "any registry" : scope, .all = *found};
  return {.scope = "any registry", .all = json_array(policy, "default")};
}

void check_requirement(const std::string& type, const std::string& scope) {
  if (type == "insecureAcceptAnything") return;
  if (type == "reject")
    throw Error::make(Errc::denied, "images of {} are rejected", printable(scope))
        .with_hint("this machine's policy decides which images may be pulled: containers-policy.json(5)");
  if (type == "signedBy" || type == "sigstoreSigned" || type == "signedBaseLayer")
    throw Error::make(Errc::unsupported,
                      "images of {} have to be signed ({}), and lay cannot verify signatures",
                      printable(scope), type)
        .with_hint("let podman or skopeo pull and verify it, and 'lay load' what they save");
  throw Error::make(Errc::invalid, "requirement of {}: unknown type '{}'", printable(scope), printable(type));
}

/// False when there is no such file.
bool check_file(const std::string& path, const Reference& reference) {
  return with_context(fmt::format("policy '{}'", path), [&] {
    const auto file = sys::try_open_at(sys::cwd(), path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (file) check_policy(sys::read_all(*file, kMaxFile), reference);
    return file.has_value();
  });
}

}  // namespace

std::vector<std::string> policy_scopes(const Reference& reference) {
  std::string name = reference.domain + "/" + reference.repository;
  std::vector<std::string> scopes{
      reference.digest ? name + "@" + reference.digest->to_string() : name + ":" + reference.tag, name};
  for (std::size_t slash = name.rfind('/'); slash != std::string::npos; slash = name.rfind('/')) {
    name.resize(slash);
    scopes.push_back(name);
  }
  name.resize(std::min(name.find(':'), name.size()));  // a star stands for any port
  for (std::size_t dot = name.find('.'); dot != std::string::npos; dot = name.find('.')) {
    name.erase(0, dot + 1);
    scopes.push_back("*." + name);
  }
  scopes.emplace_back();
  return scopes;
}

void check_policy(const std::string& policy, const Reference& reference) {
  const Json document = parse_json(policy, "policy");
  if (json_array(document, "default").empty()) throw Error(Errc::invalid, "it has no 'default'");
  const Requirements requirements = find_requirements(document, reference);
  if (!requirements.all.is_array() || requirements.all.empty())
    throw Error::make(Errc::invalid, "no requirements for {}", printable(requirements.scope))
        .with_hint(R"(to accept all: [{"type": "insecureAcceptAnything"}])");
  for (const Json& requirement : requirements.all)
    check_requirement(json_string(requirement, "type"), requirements.scope);
}

void require_accepted(const Reference& reference) {
  const char* home = std::getenv("HOME");
  const bool has_home = home != nullptr && *home != '\0';
  if (has_home && check_file(std::string(home) + "/.config/containers/policy.json", reference)) return;
  check_file("/etc/containers/policy.json", reference);
}

}  // namespace lay::registry
