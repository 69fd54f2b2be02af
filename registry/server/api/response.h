#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "server/api/byte_range.h"
#include "server/api/refusal.h"
#include "server/api/request_target.h"

namespace lay::registry::server {

/// What the server knows of a request once its headers are there.
struct Request {
  std::string method;
  RequestTarget target;
  std::optional<std::string> user;  ///< who sent it, verified; empty without credentials
  std::optional<std::uint64_t> length;
  std::string content_type;
  std::string content_range;
  std::string range;
  std::string if_range;
  std::string if_none_match;
  std::string via;
};

/// A part of a file; with a heading when it is one of several.
struct FilePart {
  std::string heading;
  ByteRange range;
};

struct Response {
  int status = 200;
  HeaderList headers;
  std::string body;
  UniqueFd file;                ///< when open, its parts are sent in the place of `body`
  std::vector<FilePart> parts;  ///< one without a heading, or several
  std::string trailer;          ///< behind the last part
  bool is_head = false;         ///< only the length of all that is told
};

/// What is done about a request whose headers were accepted.
struct Action {
  /// Takes the body as it arrives; none: a body is read and ignored. May throw Refusal.
  std::function<void(std::span<const std::byte>)> take;
  /// When all of the body is there. May throw Refusal.
  std::function<Response()> finish;
  bool blocks = false;  ///< finish() waits for a disk: not on a thread that serves connections
  /// What finish() takes long with, also not where others wait for a disk; each has threads of its own.
  enum class Errand {
    none,
    fetch,  ///< another registry
    check,  ///< all bytes of a blob
  } errand = Errand::none;
  std::string flight = {};  ///< errands of the same name go one after the other
  std::size_t hops = 0;     ///< servers that ask for a client, the last of which sent this: below kMaxHops
};

}  // namespace lay::registry::server
