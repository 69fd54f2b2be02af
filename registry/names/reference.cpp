#include "registry/reference.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/text.h"

// The grammar is docker's: distribution/reference, regexp.go and normalize.go.
namespace lay::registry {

namespace {

constexpr std::size_t kMaxName = 255;  // domain and repository together
constexpr std::size_t kMaxTag = 128;
constexpr std::size_t kMaxShown = 64;  // of a refused name in a message
constexpr std::string_view kDefaultDomain = "docker.io";
constexpr std::string_view kLegacyDomain = "index.docker.io";

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}
bool is_upper(char c) {
  return c >= 'A' && c <= 'Z';
}
bool is_letter(char c) {
  return is_lower(c) || is_upper(c);
}
bool is_lower_alphanumeric(char c) {
  return is_lower(c) || is_digit(c);
}
bool is_hex(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

[[noreturn]] void refuse(std::string_view text, const std::string& reason, std::string hint = {}) {
  std::string shown = printable(text.substr(0, kMaxShown));
  if (text.size() > kMaxShown) shown += "…";
  if (hint.empty()) hint = "a name looks like host:5000/team/app:tag";
  throw Error::make(Errc::invalid, "image name '{}': {}", shown, reason).with_hint(std::move(hint));
}

/// domain-component: [a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9]
bool is_domain_component(std::string_view part) {
  const auto allowed = [](char c) { return is_letter(c) || is_digit(c) || c == '-'; };
  return !part.empty() && part.front() != '-' && part.back() != '-' &&
         std::all_of(part.begin(), part.end(), allowed);
}

bool is_domain_name(std::string_view host) {
  const std::vector<std::string> parts = split(host, '.');
  return std::all_of(parts.begin(), parts.end(), is_domain_component);
}

/// "[" hexadecimal digits and colons "]"; zone ids are not part of the grammar.
bool is_bracketed_ipv6(std::string_view host) {
  if (host.size() < 3 || host.front() != '[' || host.back() != ']') return false;
  const std::string_view inner = host.substr(1, host.size() - 2);
  return std::all_of(inner.begin(), inner.end(), [](char c) { return is_hex(c) || c == ':'; });
}

bool is_domain(std::string_view domain) {
  const std::size_t bracket = domain.rfind(']');
  const std::size_t colon = domain.find(':', bracket == std::string_view::npos ? 0 : bracket);
  const std::string_view host = domain.substr(0, colon);
  if (colon != std::string_view::npos) {
    const std::string_view digits = domain.substr(colon + 1);
    if (!std::all_of(digits.begin(), digits.end(), is_digit)) return false;
    const auto port = parse_number(digits);
    if (!port || *port == 0 || *port > 65535) return false;
  }
  return is_bracketed_ipv6(host) || is_domain_name(host);
}

/// path-component: alphanumerics [separator alphanumerics]*, separator: "." | "_" | "__" | "-"+
bool is_path_component(std::string_view part) {
  if (part.empty() || !is_lower_alphanumeric(part.front()) || !is_lower_alphanumeric(part.back()))
    return false;
  for (std::size_t i = 0; i < part.size();) {
    std::size_t end = i;
    while (end < part.size() && !is_lower_alphanumeric(part[end])) ++end;
    const std::string_view separator = part.substr(i, end - i);
    const bool dashes = separator.find_first_not_of('-') == std::string_view::npos;
    if (!dashes && separator != "." && separator != "_" && separator != "__") return false;
    i = end + 1;
  }
  return true;
}

/// Two names are one: a repository of 64 hex digits reads as an image id.
bool is_image_id(std::string_view text) {
  return text.size() == 64 &&
         std::all_of(text.begin(), text.end(), [](char c) { return is_hex(c) && !is_upper(c); });
}

/// With a tag of hex digits such a name reads as a digest. docker refuses sha256 as well.
bool is_digest_algorithm(std::string_view name) {
  return name == "sha256" || name == "sha512";
}

/// The first part is a host when nothing else can look like that.
bool is_host_part(std::string_view part) {
  return part.find_first_of(".:") != std::string_view::npos || part == "localhost" ||
         std::any_of(part.begin(), part.end(), is_upper);
}

struct Parts {
  std::string domain;
  std::string rest;  ///< repository, tag and digest
};

Parts split_domain(std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos || !is_host_part(text.substr(0, slash)))
    return {std::string(kDefaultDomain), std::string(text)};
  Parts parts{std::string(text.substr(0, slash)), std::string(text.substr(slash + 1))};
  if (parts.domain == kLegacyDomain) parts.domain = kDefaultDomain;
  return parts;
}

void check_tag(std::string_view text, std::string_view tag) {
  const auto word = [](char c) { return is_letter(c) || is_digit(c) || c == '_'; };
  if (tag.empty()) refuse(text, "the tag is empty", "write a tag behind ':', or leave ':' out");
  if (tag.size() > kMaxTag)
    refuse(text, fmt::format("the tag has {} characters, at most {} are allowed", tag.size(), kMaxTag));
  if (!word(tag.front())) refuse(text, "a tag begins with a letter, a digit or '_'");
  if (!std::all_of(tag.begin(), tag.end(), [&](char c) { return word(c) || c == '.' || c == '-'; }))
    refuse(text, "a tag holds only letters, digits, '_', '.' and '-'");
}

/// `text` with another repository in the place of its own: tag and digest stay.
std::string with_repository(std::string_view text, const std::string& repository, const std::string& other) {
  const std::size_t place = text.find(repository);
  if (place == std::string_view::npos) return other;
  return std::string(text).replace(place, repository.size(), other);
}

void check_repository(std::string_view text, const std::string& repository) {
  if (repository.empty())
    refuse(text, "the repository is missing", "a name looks like host:5000/team/app:tag");
  if (std::any_of(repository.begin(), repository.end(), is_upper)) {
    const std::string lower = to_lower(repository);
    const std::vector<std::string> parts = split(lower, '/');
    const bool is_valid = std::all_of(parts.begin(), parts.end(), is_path_component);
    refuse(text, "a repository is written in lower case",
           is_valid ? fmt::format("write '{}'", with_repository(text, repository, lower)) : std::string());
  }
  if (is_image_id(repository)) refuse(text, "64 hexadecimal digits are an image id, not a name");
  for (const std::string& part : split(repository, '/'))
    if (!is_path_component(part))
      refuse(text,
             part.empty() ? std::string("two '/' with nothing between them, or one at an end")
                          : fmt::format("'{}' is no part of a repository", printable(part)),
             "parts are lower-case letters and digits, with single '.', '_', '__' or dashes between them");
}

/// What people paste, and what they mean.
void check_common_mistakes(std::string_view text) {
  if (text.empty()) refuse(text, "it is empty");
  const std::size_t scheme = text.find("://");
  if (scheme != std::string_view::npos)
    refuse(text, "a name has no scheme",
           fmt::format("leave '{}' out", printable(text.substr(0, scheme + 3))));
  if (is_image_id(text)) refuse(text, "64 hexadecimal digits are an image id, not a name");
  if (text.find('/') == std::string_view::npos &&
      is_digest_algorithm(text.substr(0, text.find_first_of(":@"))))
    refuse(text, "that is how a digest begins, not a name");
}

}  // namespace

Reference parse_reference(std::string_view text) {
  check_common_mistakes(text);
  Parts parts = split_domain(text);
  Reference result;
  result.domain = std::move(parts.domain);

  std::string_view rest = parts.rest;
  if (const std::size_t at = rest.find('@'); at != std::string_view::npos) {
    const auto digest = layerstore::Digest::try_parse(rest.substr(at + 1));
    if (!digest)
      refuse(text, "what follows '@' is no digest",
             "a digest is sha256: and 64 lower-case hexadecimal digits");
    result.digest = digest;
    rest = rest.substr(0, at);
  }
  const std::size_t colon = rest.find(':');
  result.repository = std::string(rest.substr(0, colon));
  if (colon != std::string_view::npos) {
    result.tag = std::string(rest.substr(colon + 1));
    check_tag(text, result.tag);
  } else if (!result.digest) {
    result.tag = "latest";
  }

  if (!is_domain(result.domain)) refuse(text, fmt::format("'{}' is no host", printable(result.domain)));
  check_repository(text, result.repository);
  if (result.domain == kDefaultDomain && result.repository.find('/') == std::string::npos)
    result.repository.insert(0, "library/");
  const std::size_t length = result.domain.size() + 1 + result.repository.size();
  if (length > kMaxName)
    refuse(text, fmt::format("{} characters without the tag, at most {} are allowed", length, kMaxName));
  return result;
}

std::string to_string(const Reference& reference) {
  std::string text = reference.domain + "/" + reference.repository;
  if (!reference.tag.empty()) text += fmt::format(":{}", reference.tag);
  if (reference.digest) text += fmt::format("@{}", reference.digest->to_string());
  return text;
}

std::string manifest_selector(const Reference& reference) {
  return reference.digest ? reference.digest->to_string() : reference.tag;
}

std::string local_name(std::string_view text) {
  const Reference reference = parse_reference(text);
  // The tag was added by the parser exactly when the text has none of its own.
  const std::size_t last = text.rfind('/');
  const std::string_view name = last == std::string_view::npos ? text : text.substr(last + 1);
  const bool complete = reference.digest.has_value() || name.find(':') != std::string_view::npos;
  return complete ? std::string(text) : std::string(text) + ":" + reference.tag;
}

}  // namespace lay::registry
