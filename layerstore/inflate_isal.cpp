#include <dlfcn.h>
#include <isa-l/igzip_lib.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <string_view>

#include "base/error.h"
#include "inflate.h"

namespace lay::layerstore {

namespace {

struct IsalLibrary {
  decltype(&::isal_inflate_init) init;
  decltype(&::isal_inflate) inflate;
};

std::optional<IsalLibrary> open_library() {
  void* library = ::dlopen("libisal.so.2", RTLD_NOW | RTLD_LOCAL);  // stays open as long as lay runs
  if (library == nullptr) return std::nullopt;
  const IsalLibrary table{
      .init = reinterpret_cast<decltype(&::isal_inflate_init)>(::dlsym(library, "isal_inflate_init")),
      .inflate = reinterpret_cast<decltype(&::isal_inflate)>(::dlsym(library, "isal_inflate"))};
  if (table.init == nullptr || table.inflate == nullptr) return std::nullopt;
  return table;
}

const std::optional<IsalLibrary>& isal() {
  static const std::optional<IsalLibrary> library = open_library();
  return library;
}

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
    library_.init(&state_);
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
  const IsalLibrary library_;
  inflate_state state_{};
};

}  // namespace

std::unique_ptr<Inflater> make_isal_inflater() {
  const std::optional<IsalLibrary>& library = isal();
  return library ? std::make_unique<IsalInflater>(*library) : nullptr;
}

}  // namespace lay::layerstore
