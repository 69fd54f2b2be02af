#include <algorithm>
#include <limits>

#include "base/error.h"
#include "codec/inflate.h"
#include "codec/inflate_sandbox.h"
#include "codec/isal_library.h"
#include "codec/raw_inflater.h"

namespace lay::layerstore {

namespace {

std::uint32_t clamped(std::size_t size) {
  return static_cast<std::uint32_t>(std::min<std::size_t>(size, std::numeric_limits<std::uint32_t>::max()));
}

RawFailure failure_of(int status) {
  switch (status) {
    case ISAL_INVALID_BLOCK:
      return RawFailure::block;
    case ISAL_INVALID_SYMBOL:
      return RawFailure::code;
    case ISAL_INVALID_LOOKBACK:
      return RawFailure::distance;
    case ISAL_INCORRECT_CHECKSUM:
      return RawFailure::checksum;
    default:
      return status < 0 ? RawFailure::other : RawFailure::none;
  }
}

std::string_view text_of(RawFailure failure) {
  switch (failure) {
    case RawFailure::block:
      return "invalid block";
    case RawFailure::code:
      return "invalid code";
    case RawFailure::distance:
      return "a distance points before the start";
    case RawFailure::checksum:
      return "incorrect checksum or length";
    default:
      return "invalid data";
  }
}

class IsalStream final : public RawInflater {
 public:
  explicit IsalStream(const IsalLibrary& library) : library_(library) {}

  void begin_member() noexcept override {
    library_.inflate_init(&state_);
    state_.crc_flag = ISAL_GZIP_NO_HDR_VER;
  }

  RawStep step(std::span<const std::byte> in, std::span<std::byte> out) noexcept override {
    // ISA-L does not write to input, but its field is not const
    state_.next_in = const_cast<std::uint8_t*>(reinterpret_cast<const std::uint8_t*>(in.data()));
    state_.avail_in = clamped(in.size());
    state_.next_out = reinterpret_cast<std::uint8_t*>(out.data());
    state_.avail_out = clamped(out.size());
    const std::uint32_t offered = state_.avail_in;
    const std::uint32_t room = state_.avail_out;
    const int status = library_.inflate(&state_);
    return {.consumed = offered - state_.avail_in,
            .produced = room - state_.avail_out,
            .is_member_end = state_.block_state == ISAL_BLOCK_FINISH,
            .failure = failure_of(status)};
  }

 private:
  const IsalLibrary& library_;
  inflate_state state_{};
};

class UnguardedInflater final : public Inflater {
 public:
  explicit UnguardedInflater(std::unique_ptr<RawInflater> inner) : inner_(std::move(inner)) {}
  void begin_member() override { inner_->begin_member(); }
  InflateStep step(std::span<const std::byte> in, std::span<std::byte> out) override {
    return checked_step(inner_->step(in, out));
  }

 private:
  const std::unique_ptr<RawInflater> inner_;
};

}  // namespace

InflateStep checked_step(const RawStep& step) {
  if (step.failure != RawFailure::none)
    throw Error::make(Errc::corrupt, "gzip data is damaged: {}", text_of(step.failure));
  return {.consumed = step.consumed, .produced = step.produced, .is_member_end = step.is_member_end};
}

std::unique_ptr<RawInflater> make_isal_stream() {
  const IsalLibrary* library = isal_library();
  return library != nullptr ? std::make_unique<IsalStream>(*library) : nullptr;
}

std::unique_ptr<Inflater> make_isal_inflater() {
  auto stream = make_isal_stream();
  return stream ? make_sandboxed_inflater(std::move(stream)) : nullptr;
}

std::unique_ptr<Inflater> make_unguarded_isal_inflater() {
  auto stream = make_isal_stream();
  return stream ? std::make_unique<UnguardedInflater>(std::move(stream)) : nullptr;
}

}  // namespace lay::layerstore
