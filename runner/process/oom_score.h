#pragma once

#include <optional>
#include <string>

namespace lay::runner {

/// Gives this process another oom_score_adj (proc(5)) for as long as the guard lives, so that what it forks
/// meanwhile has it from its first moment; nothing without a score. Throws when lay may not lower its own.
class OomScoreGuard {
 public:
  explicit OomScoreGuard(std::optional<int> score);
  OomScoreGuard(const OomScoreGuard&) = delete;
  OomScoreGuard& operator=(const OomScoreGuard&) = delete;
  ~OomScoreGuard();

  /// In a child: it keeps what it was born with.
  void keep() { previous_.clear(); }

 private:
  std::string previous_;
};

}  // namespace lay::runner
