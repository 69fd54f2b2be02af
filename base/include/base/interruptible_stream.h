#pragma once

#include "base/stream.h"

/// Streams for descriptors that may keep their user waiting for ever, such as pipes, terminals and sockets:
/// they throw cancelled as soon as the user asks to stop (see cancel.h), on whichever thread they wait.
/// Regular files are read and written as they are.
namespace lay {

/// Reads a descriptor; not owned.
class InterruptibleSource final : public ByteSource {
 public:
  explicit InterruptibleSource(const UniqueFd& fd);
  std::size_t read(std::span<std::byte> out) override;

 private:
  const UniqueFd& fd_;
  const bool may_wait_;
};

/// Writes a descriptor; not owned.
class InterruptibleSink final : public ByteSink {
 public:
  explicit InterruptibleSink(const UniqueFd& fd);
  void write(std::span<const std::byte> bytes) override;

 private:
  std::size_t write_some(std::span<const std::byte> bytes);

  const UniqueFd& fd_;
  const bool may_wait_;
};

}  // namespace lay
