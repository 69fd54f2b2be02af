#include <algorithm>
#include <limits>
#include <string_view>

#include "base/error.h"
#include "inflate.h"
#include "isal_library.h"

namespace lay::layerstore {

namespace {

std::uint32_t clamped(std::size_t size) {
  return static_cast<std::uint32_t>(std::min<std::size_t>(size, std::numeric_limits<std::uint32_t>::max()));
}

std::string_view reason_of(int status) {
  switch (status) {
    case ISAL_INVALID_BLOCK:
      return "invalid block";
    case ISAL_INVALID_SYMBOL:
      return "invalid code";
    case ISAL_INVALID_LOOKBACK:
      return "a distance points before the start";
    case ISAL_INCORRECT_CHECKSUM:
      return "incorrect checksum or length";
    default:
      return "invalid data";
  }
}

class IsalInflater final : public Inflater {
 public:
  explicit IsalInflater(const IsalLibrary& library) : library_(library) {}

  void begin_member() override {
    library_.inflate_init(&state_);
    state_.crc_flag = ISAL_GZIP_NO_HDR_VER;
  }

  InflateStep step(std::span<const std::byte> in, std::span<std::byte> out) override {
    // ISA-L does not write to input, but its field is not const
    state_.next_in = const_cast<std::uint8_t*>(reinterpret_cast<const std::uint8_t*>(in.data()));
    state_.avail_in = clamped(in.size());
    state_.next_out = reinterpret_cast<std::uint8_t*>(out.data());
    state_.avail_out = clamped(out.size());
    const std::uint32_t offered = state_.avail_in;
    const std::uint32_t room = state_.avail_out;
    const int status = library_.inflate(&state_);
    if (status < 0) throw Error::make(Errc::corrupt, "gzip data is damaged: {}", reason_of(status));
    return {.consumed = offered - state_.avail_in,
            .produced = room - state_.avail_out,
            .is_member_end = state_.block_state == ISAL_BLOCK_FINISH};
  }

 private:
  const IsalLibrary& library_;
  inflate_state state_{};
};

}  // namespace

std::unique_ptr<Inflater> make_isal_inflater() {
  const IsalLibrary* library = isal_library();
  return library != nullptr ? std::make_unique<IsalInflater>(*library) : nullptr;
}

}  // namespace lay::layerstore
