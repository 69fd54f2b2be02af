#include "base/base64.h"

#include <openssl/evp.h>

#include <algorithm>
#include <cstdint>

namespace lay {

namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

}  // namespace

void base64_append(std::string& to, std::string_view bytes) {
  constexpr std::size_t kMost = std::size_t{3} << 28U;  // of what EVP_EncodeBlock() can count
  for (; !bytes.empty(); bytes.remove_prefix(std::min(bytes.size(), kMost))) {
    const std::string_view part = bytes.substr(0, kMost);
    const std::size_t begin = to.size();
    to.resize(begin + (part.size() + 2) / 3 * 4);
    // It writes a NUL behind the text, where the string has one.
    ::EVP_EncodeBlock(reinterpret_cast<unsigned char*>(to.data() + begin),
                      reinterpret_cast<const unsigned char*>(part.data()), static_cast<int>(part.size()));
  }
}

std::string base64_encode(std::string_view bytes) {
  std::string text;
  base64_append(text, bytes);
  return text;
}

std::optional<std::string> base64_decode(std::string_view text) {
  if (text.size() % 4 == 0)
    for (int padding = 0; padding < 2 && !text.empty() && text.back() == '='; ++padding)
      text.remove_suffix(1);
  if (text.size() % 4 == 1) return std::nullopt;
  std::string bytes;
  std::uint32_t bits = 0;
  unsigned count = 0;  // of bits not yet given out
  for (const char c : text) {
    const std::size_t value = kAlphabet.find(c);
    if (value == std::string_view::npos) return std::nullopt;
    bits = bits << 6 | static_cast<std::uint32_t>(value);
    count += 6;
    if (count >= 8) bytes += static_cast<char>(bits >> (count -= 8) & 0xff);
  }
  return bytes;
}

}  // namespace lay
