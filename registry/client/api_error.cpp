#include "client/api_error.h"

#include <algorithm>
#include <vector>

#include "base/json.h"
#include "base/text.h"

namespace lay::registry {

namespace {

constexpr std::size_t kMaxShown = 400;  // characters of one message
constexpr std::size_t kMaxMessages = 4;

std::string shortened(const std::string& text) {
  return printable(text.substr(0, kMaxShown)) + (text.size() > kMaxShown ? "…" : "");
}

std::string text_of(const Json& error, const char* key) {
  const Json* value = error.is_object() ? json_find(error, key) : nullptr;
  return value != nullptr && value->is_string() ? value->get<std::string>() : std::string();
}

/// One entry of "errors": its message, or its code in plain words when it has none.
std::string message_of(const Json& error) {
  const std::string message = text_of(error, "message");
  if (!message.empty()) return shortened(message);
  std::string code = to_lower(text_of(error, "code"));
  std::replace(code.begin(), code.end(), '_', ' ');
  return shortened(code);
}

/// An error body that is no error document: a proxy's page, a login form, a stack trace.
std::string describe_body(const HttpResponse& response) {
  const std::string type = to_lower(response.headers.get("content-type"));
  if (response.body.empty()) return "with no explanation";
  if (type.starts_with("text/html") && response.status == 413) return "(the request is too large)";
  if (type.starts_with("text/html")) return "with an HTML page: is this a registry?";
  if (response.body.front() == '{' || response.body.front() == '[') return "with an answer of no known form";
  const std::string line = response.body.substr(0, response.body.find('\n'));
  return fmt::format("'{}'", shortened(line));
}

Errc code_of(int status) {
  switch (status) {
    case 401:
      return Errc::unauthorized;
    case 403:
      return Errc::denied;
    case 404:
      return Errc::not_found;
    case 429:
      return Errc::unavailable;
    default:
      return status >= 500 || status < 400 ? Errc::unavailable : Errc::invalid;
  }
}

}  // namespace

std::string api_messages(const std::string& body) {
  std::vector<std::string> messages;
  try {
    const Json document = parse_json(body, "error");
    if (!document.is_object()) return {};
    for (const Json& error : json_array(document, "errors")) {
      const std::string message = message_of(error);
      if (!message.empty() && messages.size() < kMaxMessages) messages.push_back(message);
    }
    // Gateways and token servers have forms of their own.
    for (const char* key : {"message", "error", "details", "detail"})
      if (const std::string text = text_of(document, key); messages.empty() && !text.empty())
        messages.push_back(shortened(text));
  } catch (const Error&) {  // not an error document: the caller describes the body instead
    return {};
  }
  return join(messages, "; ");
}

Error api_error(const HttpResponse& response, const std::string& what) {
  const std::string messages = api_messages(response.body);
  const std::string reason =
      !messages.empty() ? messages : fmt::format("status {} {}", response.status, describe_body(response));
  Error error(code_of(response.status), what + ": " + reason);
  if (response.status == 404) error.with_hint("is the name right, and the tag?");
  if (response.status == 429) error.with_hint("the registry limits requests: log in, or try again later");
  if (response.status >= 500) error.with_hint("the registry failed, not this request: try again later");
  return error;
}

}  // namespace lay::registry
