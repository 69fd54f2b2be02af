#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "layerstore/store.h"

namespace lay::registry {

/// How a store is served as a registry.
struct ServeOptions {
  std::string listen = "127.0.0.1:5000";  ///< ADDRESS:PORT; port 0 is any free one
  /// HOST[:PORT] in the names of what is pushed, as `lay pull` would name it; empty: localhost and the port,
  /// or this machine's host name and the port where others reach it.
  std::string name;
  std::optional<std::string> htpasswd;  ///< file of users and bcrypt hashes; none: nobody has to log in
  std::optional<std::string> tls_certificate;  ///< PEM files, both or none
  std::optional<std::string> tls_key;
  std::vector<std::string> allow;  ///< USER:REPOSITORY:RIGHT
  bool anonymous_pull = false;     ///< reading needs no login
  bool read_only = false;
  bool only_pushed = false;      ///< local names without a host are not served
  bool insecure_listen = false;  ///< other machines are let in without TLS or login
  std::string access_log = "-";  ///< "-" standard error, "none", or a file
  unsigned max_connections = 4096;
  unsigned max_uploads = 1024;
  std::chrono::seconds idle{60};          ///< of a connection
  std::chrono::seconds stop_timeout{10};  ///< for requests under way when the server is stopped
  std::chrono::seconds collect_interval{3600};
  std::chrono::seconds keep_uploads{24 * 3600};
  std::optional<std::chrono::seconds> keep_untagged{7 * 24 * 3600};  ///< none: for ever
  /// What else needs the store's contents when the server collects garbage.
  std::function<layerstore::InUse()> in_use;
  /// Told of what fails in the server itself. Called from any thread.
  std::function<void(const Error&)> report;
};

/// Throws what is wrong with options whatever the store is: invalid, denied, or a file that cannot be read.
void check_options(const ServeOptions& options);

/// A registry (distribution-spec 1.1) whose blobs and names are those of a store. One server at a time serves
/// a store; other commands work on the store meanwhile as ever.
class Server {
 public:
  /// Listens and serves when it returns. Throws busy when the store is served already, invalid or denied for
  /// options that cannot be had together. Blocks SIGINT, SIGTERM and SIGHUP in this and all its threads.
  Server(const layerstore::Store& store, const ServeOptions& options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// "http://127.0.0.1:5000".
  const std::string& url() const;
  /// The host in the names of what is pushed.
  const std::string& name() const;
  /// Waits for SIGINT or SIGTERM, or SIGHUP when it was started on a terminal, then for the requests under
  /// way, at most for the stop timeout. Uploads that are cut off can be resumed. False when some were cut
  /// off. Any other SIGHUP has it open the access log and read the certificate again; what fails of that is
  /// reported, and the old ones serve on.
  bool run_until_stopped();

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

/// Every blob that the store's registry needs, whether it is being served or not: none may be collected.
/// Throws corrupt when a record of it cannot be read.
std::set<layerstore::Digest> blobs_needed_by_registry(const layerstore::Store& store);

/// Takes back all that the registry keeps though no tag leads to it, however young; a collection removes it
/// then. A running server does that itself, in its own time: then false, and nothing happens. What fails for
/// one repository is reported, and the others go on.
bool expire_now(const layerstore::Store& store, const std::function<void(const Error&)>& report);

/// What is wrong with the records of the store's registry, a sentence each: one cannot be read, or leads to a
/// blob or manifest that is gone. What the blobs hold is not looked at. The caller holds Store::share().
std::vector<std::string> check_records(const layerstore::Store& store);

}  // namespace lay::registry
