#include "base/progress.h"

namespace lay {

namespace {

class SilentTask final : public Progress::Task {
 public:
  void advance(std::uint64_t) override {}
  void done(const std::string&) override {}
};

class SilentProgress final : public Progress {
 public:
  std::unique_ptr<Task> begin(const std::string&, std::uint64_t) override {
    return std::make_unique<SilentTask>();
  }
};

}  // namespace

Progress& no_progress() {
  static SilentProgress silent;
  return silent;
}

}  // namespace lay
