#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/unique_fd.h"

namespace lay {

/// Where bytes come from. read() gives up to out.size() bytes and 0 only at the end; it throws on failure.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  virtual std::size_t read(std::span<std::byte> out) = 0;
  /// As read() into `scratch`, except that a source which has the bytes in memory leaves them there. Valid
  /// until the next call.
  virtual std::span<const std::byte> borrow(std::span<std::byte> scratch) {
    return scratch.first(read(scratch));
  }
};

/// Where bytes go. write() takes all of them or throws. finish() ends the stream (trailers, flushes); it is
/// called once by the stream's owner, and a sink that was not finished has produced nothing usable.
class ByteSink {
 public:
  virtual ~ByteSink() = default;
  virtual void write(std::span<const std::byte> bytes) = 0;
  virtual void finish() {}
  /// Where the next bytes may be put, from its start on, so that writing them copies nothing: memory of the
  /// sink, or `scratch`. Never empty when `scratch` is not.
  virtual std::span<std::byte> room(std::span<std::byte> scratch) { return scratch; }
};

/// Moves everything from `source` to `sink`, which is not finished here; returns the bytes moved.
/// Throws cancelled between two blocks when the user asked to stop.
std::uint64_t pump(ByteSource& source, ByteSink& sink);

/// Reads a descriptor; not owned.
class FdSource final : public ByteSource {
 public:
  explicit FdSource(const UniqueFd& fd) : fd_(fd) {}
  std::size_t read(std::span<std::byte> out) override;

 private:
  const UniqueFd& fd_;
};

/// Writes a descriptor; not owned.
class FdSink final : public ByteSink {
 public:
  explicit FdSink(const UniqueFd& fd) : fd_(fd) {}
  void write(std::span<const std::byte> bytes) override;

 private:
  const UniqueFd& fd_;
};

/// Reads from memory; the text must outlive it.
class StringSource final : public ByteSource {
 public:
  explicit StringSource(std::string_view text) : rest_(text) {}
  std::size_t read(std::span<std::byte> out) override;

 private:
  std::string_view rest_;
};

class StringSink final : public ByteSink {
 public:
  void write(std::span<const std::byte> bytes) override;
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

/// Writes to two sinks; finish() finishes both.
class TeeSink final : public ByteSink {
 public:
  TeeSink(ByteSink& first, ByteSink& second) : first_(first), second_(second) {}
  void write(std::span<const std::byte> bytes) override;
  void finish() override;

 private:
  ByteSink& first_;
  ByteSink& second_;
};

}  // namespace lay
