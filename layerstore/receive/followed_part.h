#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <vector>

#include "base/stream.h"
#include "layerstore/blob_store.h"

namespace lay::layerstore {

/// A blob that one thread writes and another reads right behind it, out of the file: what waits for its
/// reader takes no memory, and so a blob may be fetched long before there is time for it. A side that fails
/// calls abort(), and the other side's next call throws that same exception.
class FollowedPart final : public ByteSink {
 public:
  /// `writer` must outlive it, and is the writing side's until the reader has seen the end. More than `size`
  /// bytes are corrupt.
  FollowedPart(BlobWriter& writer, std::uint64_t size);
  ~FollowedPart() override;

  /// Gives the reader what the writer has kept of an earlier time.
  void write_kept();
  void write(std::span<const std::byte> bytes) override;
  void finish() override;
  /// Puts into the file what was held back to be written at once.
  void flush();

  /// Owned by this; for one thread.
  ByteSource& reader();
  /// The first reason stays.
  void abort(std::exception_ptr reason);
  void throw_if_aborted();

 private:
  class Reader;
  void write_through(std::span<const std::byte> bytes);
  void publish();

  BlobWriter& writer_;
  const std::uint64_t size_;
  std::vector<std::byte> held_;  ///< the writing side's: small pieces, until they are worth a write(2)
  std::uint64_t in_file_ = 0;    ///< the writing side's
  std::mutex mutex_;             // guards what follows
  std::condition_variable changed_;
  std::uint64_t published_ = 0;
  bool ended_ = false;
  std::exception_ptr aborted_;
  std::unique_ptr<Reader> reader_;
};

}  // namespace lay::layerstore
