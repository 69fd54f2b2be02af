#include "layerstore/digest.h"

// The interface under EVP: the only one that shows the state between two blocks (update_together).
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <type_traits>

#include "base/error.h"
#include "base/text.h"
#include "codec/sha256_together.h"

namespace lay::layerstore {

namespace {

struct Algorithm {
  DigestAlgorithm id;
  std::string_view name;
  std::size_t hex_digits;
};

constexpr std::array<Algorithm, 2> kAlgorithms{Algorithm{DigestAlgorithm::sha256, "sha256", 64},
                                               Algorithm{DigestAlgorithm::sha512, "sha512", 128}};

const Algorithm& info_of(DigestAlgorithm id) {
  return *std::find_if(kAlgorithms.begin(), kAlgorithms.end(),
                       [&](const Algorithm& a) { return a.id == id; });
}

bool is_lower_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool is_hex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

/// image-spec: algorithm-component *("+" / "." / "_" / "-", algorithm-component), each [a-z0-9]+.
bool is_algorithm(std::string_view text) {
  bool component = false;  // whether the current component has a character
  for (const char c : text) {
    const bool separator = c == '+' || c == '.' || c == '_' || c == '-';
    if (!is_lower_or_digit(c) && !(separator && component)) return false;
    component = !separator;
  }
  return component;
}

/// image-spec: [a-zA-Z0-9=_-]+.
bool is_encoded(std::string_view text) {
  const auto allowed = [](char c) {
    return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z') || c == '=' || c == '_' || c == '-';
  };
  return !text.empty() && std::all_of(text.begin(), text.end(), allowed);
}

enum class Verdict { valid, broken, other_algorithm };

struct Judgement {
  Verdict verdict = Verdict::broken;
  DigestAlgorithm algorithm = DigestAlgorithm::sha256;
  std::string_view hex;
};

/// The grammar; every digest that enters lay passes through here.
Judgement judge(std::string_view text) {
  constexpr std::size_t kLongest = 7 + 128;  // "sha512:" and its hex digits
  if (text.size() > 2 * kLongest) return {};
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return {};
  const std::string_view name = text.substr(0, colon);
  const std::string_view encoded = text.substr(colon + 1);
  for (const Algorithm& algorithm : kAlgorithms) {
    if (algorithm.name != name) continue;
    const bool valid =
        encoded.size() == algorithm.hex_digits && std::all_of(encoded.begin(), encoded.end(), is_hex);
    return {.verdict = valid ? Verdict::valid : Verdict::broken, .algorithm = algorithm.id, .hex = encoded};
  }
  if (is_algorithm(name) && is_encoded(encoded)) return {.verdict = Verdict::other_algorithm};
  return {};
}

std::string to_hex(std::span<const unsigned char> bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(2 * bytes.size());
  for (const unsigned char byte : bytes) {
    text += kDigits[byte >> 4U];
    text += kDigits[byte & 15U];
  }
  return text;
}

}  // namespace

Digest Digest::parse(std::string_view text) {
  const Judgement judged = judge(text);
  const auto shown = [&] { return printable(text.substr(0, 80)) + (text.size() > 80 ? "…" : ""); };
  if (judged.verdict == Verdict::other_algorithm)
    throw Error::make(Errc::unsupported, "digest '{}': the algorithm is not supported", shown())
        .with_hint("sha256 and sha512 are");
  if (judged.verdict == Verdict::broken)
    throw Error::make(Errc::invalid, "digest '{}': expected 'sha256:' and 64 lower-case hexadecimal digits",
                      shown());
  return Digest(judged.algorithm, std::string(judged.hex));
}

std::optional<Digest> Digest::try_parse(std::string_view text) {
  const Judgement judged = judge(text);
  if (judged.verdict != Verdict::valid) return std::nullopt;
  return Digest(judged.algorithm, std::string(judged.hex));
}

std::string Digest::algorithm_name() const {
  return std::string(info_of(algorithm_).name);
}

struct Hasher::State {
  DigestAlgorithm algorithm;
  union {
    SHA256_CTX sha256;
    SHA512_CTX sha512;
  };

  bool is_sha256() const { return algorithm == DigestAlgorithm::sha256; }
  bool is_between_blocks() const { return is_sha256() && sha256.num == 0; }
  /// Counts bytes that somebody else adds to the words that this gives.
  Sha256Words* pass(std::uint64_t bytes) {
    const std::uint64_t bits = ((std::uint64_t{sha256.Nh} << 32U) | sha256.Nl) + 8 * bytes;
    sha256.Nl = static_cast<SHA_LONG>(bits);
    sha256.Nh = static_cast<SHA_LONG>(bits >> 32U);
    return &sha256.h;
  }
};

static_assert(std::is_same_v<decltype(SHA256_CTX::h), Sha256Words>);

Hasher::Hasher(DigestAlgorithm algorithm) : state_(std::make_unique<State>()) {
  state_->algorithm = algorithm;
  if (state_->is_sha256()) {
    SHA256_Init(&state_->sha256);
  } else {
    SHA512_Init(&state_->sha512);
  }
}

Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;
Hasher::~Hasher() = default;

void Hasher::update(std::span<const std::byte> bytes) {
  if (state_->is_sha256()) {
    SHA256_Update(&state_->sha256, bytes.data(), bytes.size());
  } else {
    SHA512_Update(&state_->sha512, bytes.data(), bytes.size());
  }
}

void Hasher::update_together(std::span<Hasher* const> hashers, std::span<const std::byte> bytes) {
  const bool can_share =
      hashers.size() <= kMaxTogether && can_sha256_together() &&
      std::all_of(hashers.begin(), hashers.end(), [](Hasher* h) { return h->state_->is_between_blocks(); });
  const std::size_t shared = can_share ? bytes.size() / kSha256Block * kSha256Block : 0;
  std::array<Sha256Words*, kMaxTogether> words{};
  for (std::size_t i = 0; shared > 0 && i < hashers.size(); ++i) words[i] = hashers[i]->state_->pass(shared);
  if (shared > 0) sha256_together(std::span(words).first(hashers.size()), bytes.first(shared));
  for (Hasher* const hasher : hashers) hasher->update(bytes.subspan(shared));
}

Digest Hasher::finish() {
  std::array<unsigned char, SHA512_DIGEST_LENGTH> raw{};
  if (state_->is_sha256()) {
    SHA256_Final(raw.data(), &state_->sha256);
  } else {
    SHA512_Final(raw.data(), &state_->sha512);
  }
  return Digest(state_->algorithm, to_hex(std::span(raw).first(info_of(state_->algorithm).hex_digits / 2)));
}

Digest digest_of(std::string_view bytes, DigestAlgorithm algorithm) {
  Hasher hasher(algorithm);
  hasher.update(std::as_bytes(std::span(bytes)));
  return hasher.finish();
}

void HashingSink::write(std::span<const std::byte> bytes) {
  hasher_.update(bytes);
  size_ += bytes.size();
  next_.write(bytes);
}

std::size_t HashingSource::read(std::span<std::byte> out) {
  const std::size_t count = inner_.read(out);
  hasher_.update(out.first(count));
  size_ += count;
  return count;
}

std::span<const std::byte> HashingSource::borrow(std::span<std::byte> scratch) {
  const auto bytes = inner_.borrow(scratch);
  hasher_.update(bytes);
  size_ += bytes.size();
  return bytes;
}

}  // namespace lay::layerstore
