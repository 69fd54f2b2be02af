#include "server/api/request_target.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "layerstore/digest.h"
#include "registry/reference.h"
#include "server/api/refusal.h"

namespace lay::registry::server {

namespace {

constexpr std::size_t kMaxTag = 128;
constexpr std::size_t kMaxTarget = 8192;
constexpr std::size_t kUploadIdLength = 32;

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

std::optional<unsigned> hex_value(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a') + 10;
  if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A') + 10;
  return std::nullopt;
}

[[noreturn]] void refuse_target(const std::string& reason) {
  throw Refusal(400, error_code::kNameInvalid, reason);
}

/// What no name, digest or parameter of the protocol holds.
bool is_harmless(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte > 0x20 && byte < 0x7f && c != '\\';
}

std::string percent_decode(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      const auto high = i + 2 < text.size() ? hex_value(text[i + 1]) : std::nullopt;
      const auto low = high ? hex_value(text[i + 2]) : std::nullopt;
      if (!low) refuse_target("a broken percent-encoding");
      c = static_cast<char>(*high * 16 + *low);
      i += 2;
    }
    // A NUL would end the name for every system call that is given it.
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) refuse_target("a control character");
    result.push_back(c);
  }
  return result;
}

/// One part of the path: what is encoded in it may not change how many parts there are.
std::string decode_part(std::string_view part) {
  std::string text = percent_decode(part);
  if (text.find('/') != std::string::npos || !std::all_of(text.begin(), text.end(), is_harmless))
    refuse_target("the path holds what no name may hold");
  return text;
}

std::map<std::string, std::string> parse_query(std::string_view query) {
  std::map<std::string, std::string> result;
  if (query.empty()) return result;
  for (const std::string& pair : split(query, '&')) {
    const std::size_t equals = pair.find('=');
    std::string key = percent_decode(std::string_view(pair).substr(0, equals));
    std::string value =
        equals == std::string::npos ? "" : percent_decode(std::string_view(pair).substr(equals + 1));
    if (!key.empty()) result.emplace(std::move(key), std::move(value));  // the first one counts
  }
  return result;
}

std::string joined(const std::vector<std::string>& parts, std::size_t first, std::size_t last) {
  return join(
      {parts.begin() + static_cast<std::ptrdiff_t>(first), parts.begin() + static_cast<std::ptrdiff_t>(last)},
      "/");
}

std::string require_repository(std::string name) {
  if (!is_repository_name(name))
    refuse_target("'" + printable(std::string_view(name).substr(0, 80)) +
                  "' is no repository name: lower-case parts of letters and digits with '/' between them");
  return name;
}

std::string require_digest(std::string text) {
  if (!layerstore::Digest::try_parse(text))
    throw Refusal(400, error_code::kDigestInvalid,
                  "'" + printable(std::string_view(text).substr(0, 80)) + "' is no sha256 or sha512 digest");
  return text;
}

std::string require_reference(std::string text) {
  if (text.find(':') != std::string::npos) return require_digest(std::move(text));
  if (!is_tag(text))
    throw Refusal(400, error_code::kManifestInvalid,
                  "'" + printable(std::string_view(text).substr(0, 80)) +
                      "' is no tag: 1 to 128 letters, digits, '_', '.', '-'");
  return text;
}

std::string require_upload_id(std::string text) {
  const bool is_id = text.size() == kUploadIdLength && std::all_of(text.begin(), text.end(), [](char c) {
                       return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
                     });
  if (!is_id) throw Refusal(404, error_code::kUploadUnknown, "there is no such upload");
  return text;
}

Refusal no_endpoint() {
  return Refusal(404, error_code::kUnsupported, "there is nothing at this path");
}

/// The parts behind "/v2/", read from their end: a repository may have any number of them.
RequestTarget parse_repository_path(const std::vector<std::string>& parts) {
  const std::size_t count = parts.size();
  const auto at = [&](std::size_t from_end) {
    return count >= from_end ? parts[count - from_end] : std::string();
  };
  RequestTarget result;
  std::size_t name_end = 0;
  if (at(3) == "blobs" && at(2) == "uploads") {
    result.endpoint = at(1).empty() ? Endpoint::upload_start : Endpoint::upload;
    name_end = count - 3;
    if (!at(1).empty()) result.reference = require_upload_id(at(1));
  } else if (at(2) == "blobs" && at(1) == "uploads") {
    result.endpoint = Endpoint::upload_start;
    name_end = count - 2;
  } else if (at(2) == "tags" && at(1) == "list") {
    result.endpoint = Endpoint::tags;
    name_end = count - 2;
  } else if (at(2) == "manifests") {
    result.endpoint = Endpoint::manifest;
    name_end = count - 2;
    result.reference = require_reference(at(1));
  } else if (at(2) == "blobs" || at(2) == "referrers") {
    result.endpoint = at(2) == "blobs" ? Endpoint::blob : Endpoint::referrers;
    name_end = count - 2;
    result.reference = require_digest(at(1));
  } else {
    throw no_endpoint();
  }
  result.repository = require_repository(joined(parts, 0, name_end));
  return result;
}

RequestTarget parse_path(std::string_view path) {
  if (path == "/healthz") return {.endpoint = Endpoint::health};
  if (path == "/token") return {.endpoint = Endpoint::token};
  if (path == "/metrics") return {.endpoint = Endpoint::metrics};
  if (path == "/v2" || path == "/v2/") return {.endpoint = Endpoint::base};
  if (!path.starts_with("/v2/")) throw no_endpoint();
  std::vector<std::string> parts;
  for (const std::string& part : split(path.substr(4), '/')) parts.push_back(decode_part(part));
  if (parts.size() == 1 && parts[0] == "_catalog") return {.endpoint = Endpoint::catalog};
  return parse_repository_path(parts);
}

/// RFC 9112 section 3.2.2: a server accepts "http://host/path" as well.
std::string_view without_authority(std::string_view target) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!target.starts_with(scheme)) continue;
    const std::size_t slash = target.find('/', scheme.size());
    return slash == std::string_view::npos ? "/" : target.substr(slash);
  }
  return target;
}

}  // namespace

std::string RequestTarget::parameter(const std::string& name) const {
  const auto found = query.find(name);
  return found == query.end() ? std::string() : found->second;
}

bool is_repository_name(std::string_view text) {
  if (text.empty() || text.find_first_of(":@") != std::string_view::npos) return false;
  try {
    return parse_reference("localhost/" + std::string(text)).repository == text;
  } catch (const Error&) {
    return false;
  }
}

bool is_tag(std::string_view text) {
  return !text.empty() && text.size() <= kMaxTag && is_word(text.front()) &&
         std::all_of(text.begin(), text.end(), [](char c) { return is_word(c) || c == '.' || c == '-'; });
}

RequestTarget parse_request_target(std::string_view target) {
  if (target.size() > kMaxTarget)
    throw Refusal(414, error_code::kNameInvalid, "the request's target is longer than 8192 bytes");
  target = without_authority(target);
  const std::size_t mark = target.find('?');
  RequestTarget result = parse_path(target.substr(0, mark));
  if (mark != std::string_view::npos) result.query = parse_query(target.substr(mark + 1));
  return result;
}

}  // namespace lay::registry::server
