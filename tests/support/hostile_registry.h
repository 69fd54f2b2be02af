#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/text.h"
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
  std::vector<Json> requests() const {
    std::vector<Json> result;
    const auto log = sys::try_open_at(folder_.fd(), "requests", O_RDONLY);
    if (!log) return result;
    for (const std::string& line : split(sys::read_all(*log, std::size_t{1} << 24), '\n'))
      if (!line.empty()) result.push_back(parse_json(line, "request"));
    return result;
  }

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
