#include "registry/server.h"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>

#include "base/atomic_file.h"
#include "base/file_lock.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "registry/reference.h"
#include "server/api/request_headers.h"
#include "server/content/folders.h"
#include "server/content/janitor.h"
#include "server/http/http_server.h"
#include "server/http/listener.h"

namespace lay::registry {

namespace {

using namespace server;

constexpr const char* kFolder = "registry";
constexpr const char* kLock = "lock";
constexpr const char* kName = "name";
constexpr std::size_t kMaxPem = 1024 * 1024;
constexpr unsigned kWorkers = 8;  // most of them wait for the disk
constexpr unsigned kCheckers = 2;
constexpr unsigned kLogins = 2;  // bcrypt keeps a processor busy
constexpr std::chrono::milliseconds kHeader{5000};

sigset_t awaited_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGHUP);
  return set;
}

UniqueFd open_folder(const layerstore::Store& store) {
  return make_folder(sys::open_dir(sys::cwd(), store.path()), kFolder);
}

FileLock lock_registry(const UniqueFd& folder) {
  auto lock = FileLock::try_acquire(folder, kLock, LockMode::exclusive);
  if (!lock)
    throw Error(Errc::busy, "another 'lay serve' serves this store already")
        .with_hint("one server serves all its repositories; stop that one, or choose another --root");
  return std::move(*lock);
}

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) throw Error::from_errno("the host's name");
  return name.data();
}

/// `name` as the host of a registry.
std::string require_host(std::string name) {
  const Reference reference =
      with_context("--name", [&] { return parse_reference(name + "/repository:tag"); });
  if (reference.domain != name || name == "docker.io")
    throw Error::make(Errc::invalid, "--name: '{}' does not look like a registry's host", name)
        .with_hint("it has a '.' or a ':PORT', as in registry.example:5000");
  return name;
}

std::string authority_for(const ServeOptions& options, const Listener& listener) {
  if (!options.name.empty()) return require_host(options.name);
  return require_host(fmt::format("{}:{}", listener.is_loopback ? "localhost" : host_name(), listener.port));
}

std::string read_pem(const std::string& path) {
  return with_context(fmt::format("'{}'", path),
                      [&] { return sys::read_all(sys::open_at(sys::cwd(), path, O_RDONLY), kMaxPem); });
}

std::optional<TlsFiles> read_tls(const ServeOptions& options) {
  if (options.tls_certificate.has_value() != options.tls_key.has_value())
    throw Error(Errc::invalid, "--tls-cert and --tls-key go together")
        .with_hint(
            "openssl req -x509 -newkey rsa:2048 -nodes -keyout KEY -out CERT makes a pair to try with");
  if (!options.tls_certificate) return std::nullopt;
  return TlsFiles{.certificate = read_pem(*options.tls_certificate), .key = read_pem(*options.tls_key)};
}

void require_users(const ServeOptions& options) {
  if (!options.htpasswd && !options.allow.empty())
    throw Error(Errc::invalid, "--allow needs --htpasswd: without users there is nobody to allow anything")
        .with_hint("htpasswd -B -c FILE USER makes such a file");
}

/// Nobody is let in from other machines by accident.
void require_safe(const ServeOptions& options, const Listener& listener) {
  if (listener.is_loopback || options.insecure_listen) return;
  if (options.tls_certificate && options.htpasswd) return;
  throw Error::make(Errc::denied, "listen on {}: other machines reach that, and there is no {}",
                    listener.authority(), options.tls_certificate ? "--htpasswd" : "--tls-cert")
      .with_hint("add --tls-cert, --tls-key and --htpasswd; or say --insecure-listen to let everybody in");
}

AccessRules rules_of(const ServeOptions& options) {
  std::vector<AccessRule> rules;
  for (const std::string& text : options.allow) rules.push_back(parse_access_rule(text));
  const Right anonymous = !options.htpasswd        ? Right::remove
                          : options.anonymous_pull ? Right::read
                                                   : Right::none;
  return {std::move(rules), anonymous};
}

Retention retention_of(const ServeOptions& options) {
  Retention retention{.interval = options.collect_interval, .uploads = options.keep_uploads};
  retention.keeps_all = options.read_only;
  retention.keeps_untagged = !options.keep_untagged.has_value();
  if (options.keep_untagged) retention.untagged = *options.keep_untagged;
  return retention;
}

/// The host in front of what was pushed is another one since the last time: the names follow.
void take_name(const UniqueFd& folder, ImageNames& names, const std::string& authority) {
  const auto file = sys::try_open_at(folder, kName, O_RDONLY | O_NOFOLLOW);
  const std::string before = file ? sys::read_all(*file, 1024) : authority;
  names.rename_from(before);
  if (!file || before != authority) replace_file(folder, kName, authority);
}

Listener open_listener(const ServeOptions& options) {
  const sigset_t set = awaited_signals();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);  // before the first thread, so that all have it
  Listener listener = listen_on(parse_listen_address(options.listen));
  require_users(options);
  require_safe(options, listener);
  return listener;
}

}  // namespace

void check_options(const ServeOptions& options) {
  parse_listen_address(options.listen);
  if (!options.name.empty()) require_host(options.name);
  require_users(options);
  rules_of(options);
  read_tls(options);
}

/// In the order they need each other: the last is destroyed first.
struct Server::Parts {
  Parts(const layerstore::Store& store, const ServeOptions& options)
      : settings(options),
        listener(open_listener(options)),
        name(authority_for(options, listener)),
        url(fmt::format("{}://{}", options.tls_certificate ? "https" : "http", listener.authority())),
        folder(open_folder(store)),
        lock(lock_registry(folder)),
        registry{
            .store = store,
            .repositories = Repositories(folder),
            .names = ImageNames(store, name, options.only_pushed ? LocalNames::hidden : LocalNames::served),
            .uploads = Uploads(folder, options.max_uploads),
            .changing = {}},
        api(registry, rules_of(options), options.read_only ? Writes::refused : Writes::accepted,
            options.report),
        authenticator(options.htpasswd, options.report),
        clients(
            {.header = std::min<std::chrono::milliseconds>(kHeader, options.idle), .window = options.idle}),
        log(options.access_log),
        workers(kWorkers),
        checkers(kCheckers),
        logins(kLogins),
        service{.registry = registry,
                .api = api,
                .authenticator = authenticator,
                .metrics = metrics,
                .clients = clients,
                .log = log,
                .workers = workers,
                .fetchers = fetchers,
                .checkers = checkers,
                .logins = logins,
                .report = options.report,
                .only_host = listener.is_loopback ? to_lower(host_without_port(name)) : "",
                .login_ways = {.lets_anonymous_in = rules_of(options).lets_anonymous_in(),
                               .has_tls = options.tls_certificate.has_value(),
                               .host = to_lower(host_without_port(name))},
                .lets_all_be_read = rules_of(options).lets_all_be_read(),
                .system_control = listener.system_control} {
    take_name(folder, registry.names, name);
    registry.names.show_tagged([&](const std::string& repository, const std::string& tag) {
      try {
        return registry.repositories.tag(repository, tag).has_value();
      } catch (const Error&) {
        return false;  // a damaged record is fsck's to name
      }
    });
    const HttpLimits limits{.connections = options.max_connections};
    http.emplace(service, std::move(listener.socket), read_tls(options), limits);
    janitor.emplace(registry, metrics, retention_of(options), options.in_use, options.report);
  }

  /// What has changed beside the server. Each failure is reported.
  void reload() {
    const auto reporting = [&](auto work) {
      try {
        work();
      } catch (Error& error) {
        settings.report(error.add_context("SIGHUP"));
      }
    };
    reporting([&] { log.reopen(); });
    reporting([&] {
      if (const auto tls = read_tls(settings)) http->renew(*tls);
    });
  }

  const ServeOptions settings;
  Listener listener;
  const std::string name;
  const std::string url;
  UniqueFd folder;
  FileLock lock;
  Registry registry;
  Api api;
  Authenticator authenticator;
  Metrics metrics;
  SlowClients clients;
  AccessLog log;
  WorkerPool workers;
  Fetchers fetchers;
  FlightPool checkers;
  WorkerPool logins;
  Service service;
  const bool is_on_terminal = ::isatty(STDIN_FILENO) == 1 || ::isatty(STDERR_FILENO) == 1;
  std::optional<HttpServer> http;
  std::optional<Janitor> janitor;
};

Server::Server(const layerstore::Store& store, const ServeOptions& options)
    : parts_(std::make_unique<Parts>(store, options)) {}

Server::~Server() = default;

const std::string& Server::url() const {
  return parts_->url;
}

const std::string& Server::name() const {
  return parts_->name;
}

bool Server::run_until_stopped() {
  const sigset_t set = awaited_signals();
  for (;;) {
    const int signal = ::sigwaitinfo(&set, nullptr);
    if (signal == SIGHUP && !parts_->is_on_terminal)
      parts_->reload();
    else if (signal > 0)
      break;
  }
  return parts_->http->drain(parts_->settings.stop_timeout);
}

std::set<layerstore::Digest> blobs_needed_by_registry(const layerstore::Store& store) {
  const UniqueFd root = sys::open_dir(sys::cwd(), store.path());
  const auto folder = sys::try_open_at(root, kFolder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  return folder ? server::blobs_needed_by(*folder) : std::set<layerstore::Digest>{};
}

}  // namespace lay::registry
