#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "base/error.h"
#include "server/api.h"
#include "server/metrics.h"

namespace lay::registry::server {

/// When what is no longer needed goes.
struct Retention {
  std::chrono::seconds interval{3600};
  std::chrono::seconds uploads{24 * 3600};       ///< since somebody last wrote to one
  std::chrono::seconds unused_blobs{24 * 3600};  ///< links that no manifest of the repository needs
  std::chrono::seconds untagged{7 * 24 * 3600};  ///< since they were pushed or lost their last tag
  bool keeps_untagged = false;                   ///< for ever
};

/// Takes back what the repository's tags no longer lead to. What a tag leads to stays, through indexes and
/// through subjects: a signature stays as long as what it signs.
void expire_links(Registry& registry, const std::string& repository, const Retention& retention,
                  std::chrono::system_clock::time_point now);

/// A thread that cleans up while the registry serves: abandoned uploads, forgotten links, then whatever the
/// store holds and nobody needs.
class Janitor {
 public:
  Janitor(Registry& registry, Metrics& metrics, Retention retention,
          std::function<layerstore::InUse()> in_use, std::function<void(const Error&)> report);
  ~Janitor();
  Janitor(const Janitor&) = delete;
  Janitor& operator=(const Janitor&) = delete;

 private:
  void work();
  void clean();

  Registry& registry_;
  Metrics& metrics_;
  const Retention retention_;
  const std::function<layerstore::InUse()> in_use_;
  const std::function<void(const Error&)> report_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_ending_ = false;
  std::thread thread_;
};

}  // namespace lay::registry::server
