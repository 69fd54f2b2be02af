#include "registry/registries_conf.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

// What the settings mean for one name; where they come from: registries_file.cpp.
namespace lay::registry {

namespace {

using Conf = RegistriesConf;

std::string whole_name(const Reference& reference) {
  return reference.domain + "/" + reference.repository;
}

/// How many characters of the name the prefix covers; empty when it does not fit. A prefix ends where a part
/// of the name ends, and "*." stands for any subdomains, on any port unless it has one.
std::optional<std::size_t> match(const std::string& prefix, const Reference& reference) {
  if (prefix.starts_with("*.")) {
    const std::string end = prefix.substr(1);
    const std::string& domain = reference.domain;
    const std::size_t size = end.find(':') == std::string::npos ? domain.rfind(':') : domain.size();
    const std::string host = domain.substr(0, size);
    if (host.size() <= end.size() || !host.ends_with(end)) return std::nullopt;
    return host.size();
  }
  const std::string name = whole_name(reference);
  const bool fits = name.starts_with(prefix) && (name.size() == prefix.size() || name[prefix.size()] == '/');
  return fits ? std::optional(prefix.size()) : std::nullopt;
}

const Conf::Registry* find_registry(const Conf& conf, const Reference& reference) {
  const Conf::Registry* best = nullptr;
  std::size_t best_size = 0;
  for (const Conf::Registry& registry : conf.registries) {
    if (!match(registry.prefix, reference)) continue;
    if (best != nullptr && registry.prefix.size() <= best_size) continue;
    best = &registry;
    best_size = registry.prefix.size();
  }
  return best;
}

/// The name with its first `covered` characters replaced by `location`.
Reference relocate(const Reference& reference, std::size_t covered, const std::string& location) {
  const std::string name = location + whole_name(reference).substr(covered);
  Reference moved = parse_reference(name);
  moved.tag = reference.tag;
  moved.digest = reference.digest;
  return moved;
}

bool is_used(const Conf::Mirror& mirror, const Reference& reference) {
  if (mirror.used_for == Conf::For::all) return true;
  return (mirror.used_for == Conf::For::digest_only) == reference.digest.has_value();
}

/// As the user wrote it, whether the first part is a host (reference.h).
bool has_domain(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return false;
  const std::string_view first = text.substr(0, slash);
  return first.find_first_of(".:") != std::string_view::npos || first == "localhost";
}

/// The name without tag and digest, as aliases have it, and the rest.
std::pair<std::string, std::string> cut_name(std::string_view text) {
  const std::size_t end = std::min(
      {text.find('@'), text.find(':', text.rfind('/') == std::string_view::npos ? 0 : text.rfind('/')),
       text.size()});
  return {std::string(text.substr(0, end)), std::string(text.substr(end))};
}

}  // namespace

ImageSource plan_target(const RegistriesConf& conf, const Reference& reference) {
  const Conf::Registry* registry = find_registry(conf, reference);
  if (registry == nullptr) return {.reference = reference};
  if (registry->blocked)
    throw Error::make(Errc::denied, "registry '{}' is blocked", registry->prefix)
        .with_hint("registries.conf says so");
  return {.reference = reference, .insecure = registry->insecure};
}

std::vector<ImageSource> plan_sources(const RegistriesConf& conf, const Reference& reference) {
  std::vector<ImageSource> sources;
  ImageSource own = plan_target(conf, reference);
  if (const Conf::Registry* registry = find_registry(conf, reference)) {
    if (!registry->location.empty() && registry->location != registry->prefix)
      own.reference = relocate(reference, *match(registry->prefix, reference), registry->location);
    for (const Conf::Mirror& mirror : registry->mirrors)
      if (is_used(mirror, reference))
        sources.push_back(
            {.reference = relocate(reference, *match(registry->prefix, reference), mirror.location),
             .insecure = mirror.insecure,
             .is_mirror = true});
  }
  sources.push_back(std::move(own));
  return sources;
}

std::vector<Reference> resolve_name(const RegistriesConf& conf, std::string_view text) {
  const Reference plain = parse_reference(text);  // throws for what is no name at all
  if (has_domain(text)) return {plain};
  const auto [name, rest] = cut_name(text);
  if (const auto alias = conf.aliases.find(name); alias != conf.aliases.end() && !alias->second.empty())
    return {with_context("alias '" + name + "'",
                         [&, whole = alias->second + rest] { return parse_reference(whole); })};
  if (conf.search.empty()) return {plain};
  if (conf.short_names == Conf::ShortNames::enforcing && conf.search.size() > 1)
    throw Error::make(Errc::invalid, "'{}' is a short name, and several registries may be meant: {}",
                      printable(text), join(conf.search, ", "))
        .with_hint("give the whole name: " + conf.search.front() + "/" + name);
  std::vector<Reference> found;
  for (const std::string& host : conf.search)
    found.push_back(parse_reference(host + "/" + std::string(text)));
  return found;
}

}  // namespace lay::registry
