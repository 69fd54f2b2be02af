#pragma once

#include <optional>
#include <string>

#include "base/progress.h"
#include "layerstore/store.h"
#include "registry/credentials.h"
#include "registry/reference.h"

namespace lay::registry {

enum class TlsVerify {
  required,
  off,  ///< --tls-verify=false: certificates are not checked and plain HTTP is tried
};

/// How to reach a registry. localhost and 127.0.0.0/8 may be plain HTTP in either case.
struct Connection {
  TlsVerify tls_verify = TlsVerify::required;
  std::optional<Credentials> credentials;  ///< --creds; goes before the auth files
  std::optional<std::string> authfile;
};

struct PullRequest {
  Reference reference;
  layerstore::Platform platform = layerstore::host_platform();
  Connection connection;
  unsigned parallel = 3;  ///< layers at once
};

/// Pulls an image and stores it under `name`. Blobs and layers that are here already are not fetched; each
/// byte is verified while it streams; the name appears last. Returns the image. Throws not_found,
/// unauthorized, unavailable, corrupt, unsupported; the store is then as it was.
layerstore::Image pull(const layerstore::Store& store, const PullRequest& request, const std::string& name,
                       Progress& progress);

struct PushRequest {
  Reference reference;
  Connection connection;
  unsigned parallel = 3;
};

struct PushResult {
  layerstore::Digest manifest;
  unsigned blobs_sent = 0;
  unsigned blobs_there = 0;  ///< the other side had them
};

/// Pushes an image of the store: blobs the other side lacks, then config, then the manifest, byte for byte as
/// stored (so the digest that commit printed is the registry's). Each blob is verified as it is read.
PushResult push(const layerstore::Store& store, const layerstore::Descriptor& manifest,
                const PushRequest& request, Progress& progress);

/// Checks credentials against a registry (GET /v2/ and its challenge); throws unauthorized when refused.
void check_login(const std::string& domain, const Credentials& credentials, const Connection& connection);

}  // namespace lay::registry
