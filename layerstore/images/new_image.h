#pragma once

#include <string>

#include "layerstore/commit.h"

namespace lay::layerstore {

/// Puts `layer` on top of the request's base (or of nothing) and stores config, manifest and name, each
/// durable before the next. The layer's blob is durable already. Returns the new image.
Image publish_image(const Store& store, const std::string& name, const CommitRequest& request,
                    const WrittenLayer& layer, Progress& progress);

/// Tells a progress task how many bytes pass.
class ProgressSink final : public ByteSink {
 public:
  ProgressSink(ByteSink& next, Progress::Task& task) : next_(next), task_(task) {}
  void write(std::span<const std::byte> bytes) override {
    next_.write(bytes);
    task_.advance(bytes.size());
  }
  void finish() override { next_.finish(); }

 private:
  ByteSink& next_;
  Progress::Task& task_;
};

/// Tells a progress task how many bytes are read.
class ProgressSource final : public ByteSource {
 public:
  ProgressSource(ByteSource& inner, Progress::Task& task) : inner_(inner), task_(task) {}
  std::size_t read(std::span<std::byte> out) override {
    const std::size_t count = inner_.read(out);
    task_.advance(count);
    return count;
  }
  std::span<const std::byte> borrow(std::span<std::byte> scratch) override {
    const auto bytes = inner_.borrow(scratch);
    task_.advance(bytes.size());
    return bytes;
  }

 private:
  ByteSource& inner_;
  Progress::Task& task_;
};

}  // namespace lay::layerstore
