#include "codec/sha256_together.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

#include <array>

namespace lay::layerstore {

#if defined(__x86_64__)

namespace {

#define LAY_SHA __attribute__((target("sha,sse4.1")))

// The first 32 bits of the fractional parts of the cube roots of the first 64 primes (FIPS 180-4, 4.2.2).
alignas(16) constexpr std::array<std::uint32_t, 64> kRound{
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

/// A hash as the instructions want it: the words a, b, e, f and c, d, g, h, the first one highest.
struct Lane {
  __m128i abef;
  __m128i cdgh;
};

LAY_SHA inline __m128i load(const void* from) {
  return _mm_loadu_si128(static_cast<const __m128i*>(from));
}

LAY_SHA inline void store(void* to, __m128i value) {
  _mm_storeu_si128(static_cast<__m128i*>(to), value);
}

LAY_SHA inline Lane load_lane(const Sha256Words& words) {
  const __m128i cdab = _mm_shuffle_epi32(load(&words[0]), 0xb1);
  const __m128i efgh = _mm_shuffle_epi32(load(&words[4]), 0x1b);
  return {_mm_alignr_epi8(cdab, efgh, 8), _mm_blend_epi16(efgh, cdab, 0xf0)};
}

LAY_SHA inline void store_lane(Sha256Words& words, const Lane& lane) {
  const __m128i feba = _mm_shuffle_epi32(lane.abef, 0x1b);
  const __m128i dchg = _mm_shuffle_epi32(lane.cdgh, 0xb1);
  store(&words[0], _mm_blend_epi16(feba, dchg, 0xf0));
  store(&words[4], _mm_alignr_epi8(dchg, feba, 8));
}

/// The next four words of the message schedule, from the sixteen before them.
LAY_SHA inline __m128i expand(__m128i w0, __m128i w4, __m128i w8, __m128i w12) {
  const __m128i sum = _mm_add_epi32(_mm_sha256msg1_epu32(w0, w4), _mm_alignr_epi8(w12, w8, 4));
  return _mm_sha256msg2_epu32(sum, w12);
}

/// `Count` is known to the compiler, so that all lanes stay in registers.
template <std::size_t Count>
LAY_SHA void add_blocks(std::span<Sha256Words* const> hashes, std::span<const std::byte> bytes) {
  const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
  Lane lanes[Count];
  for (std::size_t i = 0; i < Count; ++i) lanes[i] = load_lane(*hashes[i]);
  for (; !bytes.empty(); bytes = bytes.subspan(kSha256Block)) {
    Lane before[Count];
    for (std::size_t i = 0; i < Count; ++i) before[i] = lanes[i];
    __m128i words[4];
#pragma GCC unroll 16
    for (std::size_t four = 0; four < 16; ++four) {
      __m128i& now = words[four % 4];
      now = four < 4 ? _mm_shuffle_epi8(load(&bytes[16 * four]), big_endian)
                     : expand(now, words[(four + 1) % 4], words[(four + 2) % 4], words[(four + 3) % 4]);
      const __m128i low = _mm_add_epi32(now, load(&kRound[4 * four]));
      const __m128i high = _mm_shuffle_epi32(low, 0x0e);
      for (Lane& lane : lanes) lane.cdgh = _mm_sha256rnds2_epu32(lane.cdgh, lane.abef, low);
      for (Lane& lane : lanes) lane.abef = _mm_sha256rnds2_epu32(lane.abef, lane.cdgh, high);
    }
    for (std::size_t i = 0; i < Count; ++i) {
      lanes[i].abef = _mm_add_epi32(lanes[i].abef, before[i].abef);
      lanes[i].cdgh = _mm_add_epi32(lanes[i].cdgh, before[i].cdgh);
    }
  }
  for (std::size_t i = 0; i < Count; ++i) store_lane(*hashes[i], lanes[i]);
}

#undef LAY_SHA

bool has_instructions() {
  unsigned eax = 0;
  unsigned ebx = 0;
  unsigned ecx = 0;
  unsigned edx = 0;
  constexpr unsigned kSse41 = 1U << 19U;  // of leaf 1
  constexpr unsigned kSha = 1U << 29U;    // of leaf 7
  if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) == 0 || (ecx & kSse41) == 0) return false;
  return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 && (ebx & kSha) != 0;
}

}  // namespace

bool can_sha256_together() {
  static const bool can = has_instructions();
  return can;
}

void sha256_together(std::span<Sha256Words* const> hashes, std::span<const std::byte> bytes) {
  switch (hashes.size()) {
    case 1:
      return add_blocks<1>(hashes, bytes);
    case 2:
      return add_blocks<2>(hashes, bytes);
    default:
      return add_blocks<kMaxTogether>(hashes, bytes);
  }
}

#else

bool can_sha256_together() {
  return false;
}

void sha256_together(std::span<Sha256Words* const>, std::span<const std::byte>) {}

#endif

}  // namespace lay::layerstore
