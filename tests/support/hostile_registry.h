#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"
#include "request_log.h"
#include "server_process.h"
#include "temp_folder.h"

namespace lay::test {

/// hostile_registry.py in one of its modes.
class HostileRegistry {
 public:
  explicit HostileRegistry(const std::string& mode)
      : port_(free_port()), other_port_(free_port()), process_(command(mode), folder_.path() + "/output") {
    process_.wait_for_port(port_);
  }

  std::string host() const { return "localhost:" + std::to_string(port_); }
  std::uint16_t port() const { return port_; }
  std::uint16_t other_port() const { return other_port_; }
  /// What it was asked so far: objects with port, method, path, authorization.
  std::vector<Json> requests() const { return read_requests(folder_.fd()); }

 private:
  std::vector<std::string> command(const std::string& mode) const {
    const std::string script = std::filesystem::path(__FILE__).replace_filename("hostile_registry.py");
    return {"python3",
            script,
            mode,
            std::to_string(port_),
            std::to_string(other_port_),
            folder_.path() + "/requests"};
  }

  TempFolder folder_;
  std::uint16_t port_;
  std::uint16_t other_port_;
  ServerProcess process_;
};

}  // namespace lay::test
