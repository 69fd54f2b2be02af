#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/stream.h"

namespace lay::layerstore {

enum class DigestAlgorithm { sha256, sha512 };

/// "sha256:<64 lower-case hex>" or "sha512:<128>": the only way to name content, and the only way from
/// outside text to a file name in the store. image-spec descriptor.md "Digests".
class Digest {
 public:
  /// Throws invalid when the grammar is broken, unsupported when the algorithm is another one.
  static Digest parse(std::string_view text);
  static std::optional<Digest> try_parse(std::string_view text);

  DigestAlgorithm algorithm() const { return algorithm_; }
  /// "sha256" or "sha512".
  std::string algorithm_name() const;
  const std::string& hex() const { return hex_; }
  std::string to_string() const { return algorithm_name() + ":" + hex_; }
  /// The first twelve hex digits, for people.
  std::string short_hex() const { return hex_.substr(0, 12); }

  auto operator<=>(const Digest&) const = default;

 private:
  friend class Hasher;
  Digest(DigestAlgorithm algorithm, std::string hex) : algorithm_(algorithm), hex_(std::move(hex)) {}
  DigestAlgorithm algorithm_;
  std::string hex_;
};

/// Hashes a stream (OpenSSL, which uses the CPU's SHA instructions).
class Hasher {
 public:
  explicit Hasher(DigestAlgorithm algorithm = DigestAlgorithm::sha256);
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;
  ~Hasher();
  void update(std::span<const std::byte> bytes);
  /// Adds the same bytes to up to three streams. Where the CPU has SHA instructions, streams that are all at
  /// a multiple of 64 bytes cost little more than one of them.
  static void update_together(std::span<Hasher* const> hashers, std::span<const std::byte> bytes);
  /// Ends the stream; called once.
  Digest finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

Digest digest_of(std::string_view bytes, DigestAlgorithm algorithm = DigestAlgorithm::sha256);

/// Hashes and counts what passes through to `next`.
class HashingSink final : public ByteSink {
 public:
  explicit HashingSink(ByteSink& next, DigestAlgorithm algorithm = DigestAlgorithm::sha256)
      : next_(next), hasher_(algorithm) {}
  void write(std::span<const std::byte> bytes) override;
  void finish() override { next_.finish(); }
  std::uint64_t size() const { return size_; }
  /// After the last byte; called once.
  Digest digest() { return hasher_.finish(); }

 private:
  ByteSink& next_;
  Hasher hasher_;
  std::uint64_t size_ = 0;
};

/// Hashes and counts what is read through it.
class HashingSource final : public ByteSource {
 public:
  explicit HashingSource(ByteSource& inner, DigestAlgorithm algorithm = DigestAlgorithm::sha256)
      : inner_(inner), hasher_(algorithm) {}
  std::size_t read(std::span<std::byte> out) override;
  std::span<const std::byte> borrow(std::span<std::byte> scratch) override;
  std::uint64_t size() const { return size_; }
  Digest digest() { return hasher_.finish(); }

 private:
  ByteSource& inner_;
  Hasher hasher_;
  std::uint64_t size_ = 0;
};

}  // namespace lay::layerstore
