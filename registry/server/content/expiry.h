#pragma once

#include <array>
#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "server/api/api.h"

namespace lay::registry::server {

/// When what is no longer needed goes.
struct Retention {
  std::chrono::seconds interval{3600};
  std::chrono::seconds uploads{24 * 3600};       ///< since somebody last wrote to one
  std::chrono::seconds unused_blobs{24 * 3600};  ///< links that no manifest of the repository needs
  std::chrono::seconds untagged{7 * 24 * 3600};  ///< since they were pushed or lost their last tag
  bool keeps_untagged = false;                   ///< for ever
  bool keeps_all = false;  ///< uploads, links and manifests: only what none of them needs is collected
  /// Until the next try of a collection that somebody who was adding to the store kept from taking place.
  std::chrono::milliseconds retry{5000};
};

/// Takes back what the repository's tags no longer lead to. What a tag leads to stays, through indexes and
/// through subjects: a signature stays as long as what it signs. A repository that holds nothing more goes.
/// Returns when more of it may go even if it does not change; max() when nothing will.
std::chrono::system_clock::time_point expire_links(Registry& registry, const std::string& repository,
                                                   const Retention& retention,
                                                   std::chrono::system_clock::time_point now);

/// expire_links() again and again: a round over thousands of repositories that nobody touches reads none of
/// their records.
class Expiry {
 public:
  Expiry(Registry& registry, const Retention& retention);

  /// Takes back what may go. False when that was done before, nothing has changed since, and nothing is due.
  bool look_at(const std::string& repository, std::chrono::system_clock::time_point now);
  /// Forgets the repositories that are not in this sorted list.
  void forget_all_but(const std::vector<std::string>& repositories);

 private:
  /// All that decides what a repository keeps, but for the clock.
  struct State {
    std::array<std::chrono::system_clock::time_point, 3> changed;
    std::map<std::string, layerstore::Digest> names;

    bool operator==(const State&) const = default;
  };
  struct Seen {
    State state;
    std::chrono::system_clock::time_point due;
  };

  Registry& registry_;
  const Retention retention_;
  std::map<std::string, Seen> seen_;  ///< by repository, those that were left as they are
};

}  // namespace lay::registry::server
