#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/progress.h"
#include "layerstore/store.h"
#include "registry/credentials.h"
#include "registry/reference.h"
#include "registry/registries_conf.h"

namespace lay::registry {

enum class TlsVerify {
  usual,     ///< nobody said: registries.conf does, and localhost and 127.0.0.0/8 may be plain HTTP
  required,  ///< --tls-verify=true: https alone, wherever it is
  off,       ///< --tls-verify=false: certificates are not checked and plain HTTP is tried
};

/// What a transfer bears before it gives up. Only what may go better later is tried again: connections that
/// break or stall, status 408, 429 and 5xx; a try that got further than those before begins the count anew.
struct Patience {
  unsigned retries = 5;
  std::chrono::milliseconds first_delay{300};  ///< doubled each time, or what Retry-After says
  unsigned stall_seconds = 60;                 ///< without a byte: the connection is given up
  unsigned connect_seconds = 30;               ///< until there is one
};

/// How to reach a registry.
struct Connection {
  TlsVerify tls_verify = TlsVerify::usual;
  std::optional<Credentials> credentials;  ///< --creds; goes before the auth files
  std::optional<std::string> authfile;
  std::optional<std::string> cert_dir;  ///< --cert-dir, instead of the certs.d folders
  Patience patience = {};
  /// Hosts whose token servers may have the credentials of registries of other domains.
  std::vector<std::string> token_servers = {};
  /// Who asks for whom, by their own names, from the first to this one: the Via header of each request (RFC
  /// 9110 section 7.6.3). Empty: this is nobody's server.
  std::string via = {};
  SharedRegistriesConf conf = {};
  /// Hears, once, the host that has left a request without a sign of life for some seconds, while that is
  /// waited for. From any thread; must not throw. Empty: nobody does.
  std::function<void(const std::string& host)> on_silence = {};
};

/// Which blobs a pull brings.
enum class Blobs {
  needed,  ///< one whose layer is here already, made of another blob, stays where it is and is noted
           ///< (layerstore/absent_blobs.h)
  all,
};

/// What pull() brings, and how.
struct PullRequest {
  Reference reference;
  layerstore::Platform platform = layerstore::host_platform();
  Connection connection;
  unsigned parallel = 16;  ///< layers at once; each takes half a MiB of memory while it only comes in
  Blobs blobs = Blobs::needed;
  /// Hears, as one line, what the user should know though all is well.
  std::function<void(const std::string& message)> warn = {};
};

/// Pulls an image and stores it under `name` (empty: without one; the caller holds Store::share()). Blobs and
/// layers that are here already are not fetched; each byte is verified while it streams; the name appears
/// last. Of "name:tag@digest" the digest decides; a tag that leads elsewhere by now is warned of. Returns the
/// image. Throws not_found, unauthorized, unavailable, limited, corrupt, unsupported; the store is
/// then as it was.
layerstore::Image pull(const layerstore::Store& store, const PullRequest& request, const std::string& name,
                       Progress& progress);

/// Where push() brings an image, and how.
struct PushRequest {
  Reference reference;
  Connection connection;
  unsigned parallel = 3;
  /// Bytes of a blob that one request sends: large enough that the registry's sync at the end of each does
  /// not show, small enough to send again.
  std::uint64_t chunk = std::uint64_t{128} * 1024 * 1024;
  /// Hears, as one line, of a blob that has to be fetched first, from where a pull had left it.
  std::function<void(const std::string& message)> tell = {};
};

/// What a push or a copy between registries did; each blob of the image counts once.
struct PushResult {
  layerstore::Digest manifest;
  unsigned blobs_sent = 0;
  unsigned blobs_there = 0;  ///< the other side had them
};

/// Pushes an image of the store: blobs the other side lacks (absent ones are mounted within their registry,
/// else fetched before), then config, then the manifest, byte for byte as
/// stored (so the digest that commit printed is the registry's). Each blob is verified as it is read.
PushResult push(const layerstore::Store& store, const layerstore::Descriptor& manifest,
                const PushRequest& request, Progress& progress);

/// Checks credentials against a registry (GET /v2/ and its challenge); throws unauthorized when refused.
/// `place` is its host, or one of its repositories, which the registry is not asked about.
void check_login(const std::string& place, const Credentials& credentials, const Connection& connection);

}  // namespace lay::registry
