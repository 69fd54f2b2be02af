#include "auth/auth_file.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/base64.h"
#include "base/error.h"
#include "base/text.h"
#include "registry/login_host.h"

namespace lay::registry {

namespace {

void drop_slashes(std::string& key) {
  while (key.ends_with('/')) key.pop_back();
}

std::string string_or_empty(const Json& entry, const char* key) {
  return json_string_or(entry, key, "");
}

/// "auth" is the base64 of "user:password"; old docker versions padded the password with NUL bytes. base64(1)
/// breaks long ones into lines, which other readers pass over too.
Credentials decode_basic(std::string text) {
  std::erase_if(text, [](char c) { return c == '\n' || c == '\r'; });
  const auto decoded = base64_decode(text);
  if (!decoded) throw Error(Errc::invalid, "'auth' is not base64");
  const std::size_t colon = decoded->find(':');
  if (colon == std::string::npos || colon == 0) throw Error(Errc::invalid, "'auth' is not user:password");
  Credentials result{.username = decoded->substr(0, colon), .password = decoded->substr(colon + 1)};
  result.password.resize(result.password.find_last_not_of('\0') + 1);
  return result;
}

/// Empty for an entry that holds no login, as docker writes one when a helper keeps it.
std::optional<Credentials> read_entry(const Json& entry) {
  if (entry.is_null()) return std::nullopt;
  if (!string_or_empty(entry, "registrytoken").empty())
    throw Error(Errc::unsupported, "the login is a 'registrytoken'")
        .with_hint("log in with a user name and password");
  if (std::string token = string_or_empty(entry, "identitytoken"); !token.empty())
    return Credentials{.identity_token = std::move(token)};
  if (const std::string auth = string_or_empty(entry, "auth"); !auth.empty()) return decode_basic(auth);
  Credentials plain{.username = string_or_empty(entry, "username"),
                    .password = string_or_empty(entry, "password")};
  return plain.username.empty() ? std::nullopt : std::optional(std::move(plain));
}

Json to_entry(const Credentials& credentials) {
  if (!credentials.identity_token.empty())
    return {{"auth", base64_encode("<token>:")}, {"identitytoken", credentials.identity_token}};
  return {{"auth", base64_encode(credentials.username + ":" + credentials.password)}};
}

}  // namespace

std::string normalise_key(const std::string& key) {
  std::string rest = key;
  for (const std::string_view scheme : {"https://", "http://"})
    if (rest.starts_with(scheme)) {
      rest.erase(0, scheme.size());
      rest.resize(std::min(rest.find('/'), rest.size()));
    }
  drop_slashes(rest);
  const std::size_t slash = std::min(rest.find('/'), rest.size());
  const std::string host = rest.substr(0, slash);
  const bool is_hub = host == "index.docker.io" || host == "registry-1.docker.io";
  return (is_hub ? "docker.io" : host) + rest.substr(slash);
}

std::string parse_login_host(const std::string& text) {
  // Not quoted: what stands there may be a password.
  if (text.find('@') != std::string::npos)
    throw Error(Errc::invalid, "a registry is named by its host alone, without '@'")
        .with_hint("lay login -u NAME HOST asks for the password");
  std::string key = normalise_key(text);
  const std::size_t slash = std::min(key.find('/'), key.size());
  if (key.substr(slash) == "/v1" || key.substr(slash) == "/v2") key.resize(slash);
  drop_slashes(key);
  if (key.empty())
    throw Error::make(Errc::invalid, "'{}' names no registry", printable(text))
        .with_hint("a registry is HOST or HOST:PORT");
  return key;
}

std::vector<std::string> plan_lookup(const std::string& domain, const std::string& repository) {
  std::vector<std::string> keys;
  for (std::string key = repository.empty() ? domain : domain + "/" + repository;;
       key.resize(key.rfind('/'))) {
    keys.push_back(key);
    if (key.find('/') == std::string::npos) return keys;
  }
}

AuthFile::AuthFile(const std::string& text, Format format) : format_(format) {
  try {
    document_ = parse_json(text, "auth file");
  } catch (const Error&) {  // its text may quote the content
    throw Error(Errc::invalid, "not valid JSON");
  }
  if (!document_.is_object()) throw Error(Errc::invalid, "not a JSON object");
}

const Json* AuthFile::auths() const {
  const Json* found = format_ == Format::legacy ? &document_ : json_find(document_, "auths");
  if (found != nullptr && !found->is_object()) throw Error(Errc::invalid, "'auths' is not an object");
  return found;
}

std::optional<Credentials> AuthFile::find(const std::string& domain, const std::string& repository) const {
  const Json* entries = auths();
  if (entries == nullptr) return std::nullopt;
  const std::vector<std::string> keys = plan_lookup(domain, repository);
  // docker keeps an empty entry for each login that its store holds
  for (const std::string& wanted : keys)
    if (const auto found = entries->find(wanted); found != entries->end())
      if (auto credentials = with_context(wanted, [&] { return read_entry(*found); })) return credentials;
  for (const std::string& wanted : keys)
    for (const auto& [key, entry] : entries->items()) {
      if (normalise_key(key) != wanted) continue;
      if (auto credentials = with_context(wanted, [&, found = &entry] { return read_entry(*found); }))
        return credentials;
    }
  return std::nullopt;
}

std::string AuthFile::creds_store() const {
  return format_ == Format::legacy ? std::string() : json_string_or(document_, "credsStore", "");
}

std::string AuthFile::helper_of(const std::string& domain) const {
  const Json* helpers = format_ == Format::legacy ? nullptr : json_find(document_, "credHelpers");
  if (helpers == nullptr) return {};
  if (!helpers->is_object()) throw Error(Errc::invalid, "'credHelpers' is not an object");
  for (const auto& [key, helper] : helpers->items()) {
    if (normalise_key(key) != domain) continue;
    if (!helper.is_string()) throw Error(Errc::invalid, "a member of 'credHelpers' is not a string");
    return helper.get<std::string>();
  }
  return {};
}

Json& AuthFile::auths_for_change() {
  auths();  // throws when it is of the wrong type
  if (format_ == Format::legacy) return document_;
  Json& entries = document_["auths"];
  if (entries.is_null()) entries = Json::object();
  return entries;
}

void AuthFile::set(const std::string& domain, const std::string& key, const Credentials& credentials) {
  erase(domain);
  auths_for_change()[key] = to_entry(credentials);
}

bool AuthFile::erase(const std::string& domain) {
  Json& entries = auths_for_change();
  std::vector<std::string> keys;
  for (const auto& [key, entry] : entries.items())
    if (normalise_key(key) == domain) keys.push_back(key);
  for (const std::string& key : keys) entries.erase(key);
  return !keys.empty();
}

std::vector<std::string> AuthFile::domains() const {
  std::set<std::string> found;
  const Json* helpers = format_ == Format::legacy ? nullptr : json_find(document_, "credHelpers");
  for (const Json* keys : {auths(), helpers})
    if (keys != nullptr && keys->is_object())
      for (const auto& entry : keys->items()) found.insert(normalise_key(entry.key()));
  return {found.begin(), found.end()};
}

std::string AuthFile::text() const {
  return dump_json_pretty(document_) + "\n";
}

}  // namespace lay::registry
