#pragma once

#include <cstdlib>
#include <string>

#include "base/atomic_file.h"
#include "server_process.h"
#include "shell.h"
#include "temp_folder.h"

namespace lay::test {

enum class RegistryTls { off, self_signed };
enum class RegistryLogin { none, htpasswd };  ///< user "ann", password "s3cret:pw"

/// Debian's docker-registry on a free port of loopback, with a storage folder of its own.
class DockerRegistry {
 public:
  explicit DockerRegistry(RegistryTls tls = RegistryTls::off, RegistryLogin login = RegistryLogin::none)
      : port_(free_port()), process_(command(tls, login), folder_.path() + "/log") {
    process_.wait_for_port(port_);
  }

  std::uint16_t port() const { return port_; }
  /// "localhost:PORT".
  std::string host() const { return "localhost:" + std::to_string(port_); }
  std::string path() const { return folder_.path(); }
  std::string blob_path(const std::string& hex) const {
    return path() + "/data/docker/registry/v2/blobs/sha256/" + hex.substr(0, 2) + "/" + hex + "/data";
  }
  std::string log() const { return process_.output(); }

 private:
  std::vector<std::string> command(RegistryTls tls, RegistryLogin login) const {
    const std::string at = folder_.path();
    std::string config = "version: 0.1\nlog: {level: info, accesslog: {disabled: false}}\n";
    config += "storage: {filesystem: {rootdirectory: " + at + "/data}, delete: {enabled: true}}\n";
    if (login == RegistryLogin::htpasswd) {
      REQUIRE(shell("htpasswd -Bbn ann s3cret:pw >" + at + "/htpasswd").status == 0);
      config += "auth: {htpasswd: {realm: test, path: " + at + "/htpasswd}}\n";
    }
    config += "http:\n  addr: 127.0.0.1:" + std::to_string(port_) + "\n";
    if (tls == RegistryTls::self_signed) {
      const ShellResult made = shell(
          "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
          "-subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout " +
          at + "/key -out " + at + "/cert");
      REQUIRE(made.status == 0);
      config += "  tls: {certificate: " + at + "/cert, key: " + at + "/key}\n";
    }
    replace_file(folder_.fd(), "config.yml", config);
    ::setenv("OTEL_TRACES_EXPORTER", "none", 1);  // or it waits for a collector that is not there
    return {"docker-registry", "serve", at + "/config.yml"};
  }

  TempFolder folder_;
  std::uint16_t port_;
  ServerProcess process_;
};

}  // namespace lay::test
