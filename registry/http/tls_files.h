#pragma once

#include <optional>
#include <string>
#include <vector>

namespace lay::registry {

/// What a certs.d folder has for one registry (containers-certs.d(5)).
struct TlsFiles {
  std::string authorities{};  ///< PEM of every *.crt: trusted for this registry beside the system's
  std::string certificate{};  ///< path of a *.cert, the client's
  std::string key{};          ///< path of its *.key
};

/// The folders that may hold DOMAIN ("host:port"), in the order they are looked at:
/// ~/.config/containers/certs.d (XDG_CONFIG_HOME), /etc/containers/certs.d, /etc/docker/certs.d.
std::vector<std::string> cert_folders(const std::string& domain);

/// Reads the first of `folders` that is there. Throws invalid when one half of a client certificate is
/// missing or a file cannot be read: a registry must not be reached less protected than was asked for.
TlsFiles read_tls_files(const std::vector<std::string>& folders);

/// Of the same folder TlsFiles::authorities alone: nothing is wrong with half a client certificate where none
/// is shown.
std::string read_authorities(const std::vector<std::string>& folders);

/// What is trusted for all hosts: the PEM in `file`; empty where it is not there, or null.
std::string read_usual_authorities(const char* file);

/// Reads the folder that a person named; throws not_found where it is none, and as read_tls_files().
TlsFiles read_tls_folder(const std::string& folder);

}  // namespace lay::registry
