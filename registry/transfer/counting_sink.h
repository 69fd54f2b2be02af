#pragma once

#include "base/progress.h"
#include "base/stream.h"

namespace lay::registry {

/// Tells a task about the bytes that pass through.
class CountingSink final : public ByteSink {
 public:
  CountingSink(ByteSink& next, Progress::Task& task) : next_(next), task_(task) {}
  void write(std::span<const std::byte> bytes) override {
    next_.write(bytes);
    task_.advance(bytes.size());
  }

 private:
  ByteSink& next_;
  Progress::Task& task_;
};

}  // namespace lay::registry
