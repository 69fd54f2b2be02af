#pragma once

#include <map>
#include <string>
#include <string_view>

namespace lay::registry::server {

/// What of distribution-spec "Endpoints" a path leads to, and three of our own.
enum class Endpoint {
  base,          ///< /v2/
  catalog,       ///< /v2/_catalog
  tags,          ///< /v2/<name>/tags/list
  manifest,      ///< /v2/<name>/manifests/<reference>
  blob,          ///< /v2/<name>/blobs/<digest>
  upload_start,  ///< /v2/<name>/blobs/uploads/
  upload,        ///< /v2/<name>/blobs/uploads/<id>
  referrers,     ///< /v2/<name>/referrers/<digest>
  token,         ///< /token
  health,        ///< /healthz
  metrics,       ///< /metrics
};

struct RequestTarget {
  Endpoint endpoint = Endpoint::base;
  std::string repository;
  std::string reference;  ///< tag or digest as given, or the id of an upload
  std::map<std::string, std::string> query;

  /// The value of a query parameter, empty when it is not given.
  std::string parameter(const std::string& name) const;
};

/// Reads the target of a request line as it came over the wire. Whatever it names is checked against its
/// grammar here, so nothing else can reach a file name: a repository, a tag or digest, an upload's id of
/// 32 hex digits. Throws Refusal: 404 for other paths, 400 for names that break the grammar.
RequestTarget parse_request_target(std::string_view target);

/// distribution-spec "Pulling manifests": <name> and a tag as <reference>.
bool is_repository_name(std::string_view text);
bool is_tag(std::string_view text);

}  // namespace lay::registry::server
