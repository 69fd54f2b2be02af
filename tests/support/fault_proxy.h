#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"
#include "request_log.h"
#include "server_process.h"
#include "temp_folder.h"

namespace lay::test {

/// fault_proxy.py in front of a registry.
class FaultProxy {
 public:
  /// `rules` as the script has them.
  FaultProxy(std::uint16_t upstream, const std::string& rules)
      : port_(free_port()),
        other_port_(free_port()),
        process_(command(upstream, rules), folder_.path() + "/output") {
    process_.wait_for_port(port_);
  }

  std::string host() const { return "localhost:" + std::to_string(port_); }
  std::uint16_t port() const { return port_; }
  std::uint16_t other_port() const { return other_port_; }
  std::string output() const { return process_.output(); }

  /// What it was asked so far: objects with port, method, path, authorization, range, length …
  std::vector<Json> requests() const { return read_requests(folder_.fd()); }
  /// How many of them met a fault.
  std::size_t faults() const {
    std::size_t count = 0;
    for (const Json& request : requests())
      if (request["fault"] != "pass") ++count;
    return count;
  }
  /// Those of one method whose path contains `part`.
  std::vector<Json> requests(const std::string& method, const std::string& part) const {
    std::vector<Json> result;
    for (const Json& request : requests())
      if (request["method"] == method && request["path"].get<std::string>().find(part) != std::string::npos)
        result.push_back(request);
    return result;
  }

 private:
  std::vector<std::string> command(std::uint16_t upstream, const std::string& rules) const {
    const std::string script = std::filesystem::path(__FILE__).replace_filename("fault_proxy.py");
    return {"python3",
            script,
            std::to_string(port_),
            std::to_string(other_port_),
            std::to_string(upstream),
            folder_.path() + "/requests",
            rules};
  }

  TempFolder folder_;
  std::uint16_t port_;
  std::uint16_t other_port_;
  ServerProcess process_;
};

}  // namespace lay::test
