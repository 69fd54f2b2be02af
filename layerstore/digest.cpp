#include "layerstore/digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/text.h"

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

struct MdFree {
  void operator()(EVP_MD* md) const { EVP_MD_free(md); }
};
using MdPtr = std::unique_ptr<EVP_MD, MdFree>;

MdPtr fetch(const char* name) {
  // Hashing needs none of what openssl.cnf configures, and reading it costs more than hashing a manifest.
  OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr);
  MdPtr md(EVP_MD_fetch(nullptr, name, nullptr));
  if (!md) throw Error::make(Errc::unsupported, "OpenSSL does not offer {}", name);
  return md;
}

/// Fetched once for each process: OpenSSL 3.0 takes a lock and walks its providers at each fetch.
const EVP_MD* message_digest(DigestAlgorithm algorithm) {
  if (algorithm == DigestAlgorithm::sha512) {
    static const MdPtr sha512 = fetch("SHA512");
    return sha512.get();
  }
  static const MdPtr sha256 = fetch("SHA256");
  return sha256.get();
}

std::string to_hex(std::span<const unsigned char> bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
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
  struct ContextFree {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  DigestAlgorithm algorithm;
  std::unique_ptr<EVP_MD_CTX, ContextFree> context;
};

Hasher::Hasher(DigestAlgorithm algorithm)
    : state_(std::make_unique<State>(State{algorithm, decltype(State::context)(EVP_MD_CTX_new())})) {
  if (!state_->context || EVP_DigestInit_ex(state_->context.get(), message_digest(algorithm), nullptr) != 1)
    throw Error::make(Errc::io, "start a {} hash", info_of(algorithm).name);
}

Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;
Hasher::~Hasher() = default;

void Hasher::update(std::span<const std::byte> bytes) {
  if (EVP_DigestUpdate(state_->context.get(), bytes.data(), bytes.size()) != 1)
    throw Error::make(Errc::io, "hash {} bytes", bytes.size());
}

Digest Hasher::finish() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> raw{};
  unsigned int length = 0;
  if (EVP_DigestFinal_ex(state_->context.get(), raw.data(), &length) != 1)
    throw Error::make(Errc::io, "finish a hash");
  return Digest(state_->algorithm, to_hex(std::span(raw).first(length)));
}

Digest digest_of(std::string_view bytes) {
  Hasher hasher;
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

}  // namespace lay::layerstore
