#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace lay {

/// Where long work reports how far it is. The libraries only call it; src/ draws bars or prints lines.
/// Every member may be called from any thread.
class Progress {
 public:
  /// One piece of work, such as one layer; ends when destroyed.
  class Task {
   public:
    virtual ~Task() = default;
    virtual void advance(std::uint64_t bytes) = 0;
    /// It ended well; `outcome` is a word or two ("done", "already there").
    virtual void done(const std::string& outcome) = 0;
  };

  virtual ~Progress() = default;
  /// `total` in bytes, 0 when unknown.
  virtual std::unique_ptr<Task> begin(const std::string& label, std::uint64_t total) = 0;
};

/// Reports to nobody.
Progress& no_progress();

}  // namespace lay
