#pragma once

#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "base/spill_scratch.h"

namespace lay {

/// Texts, such as the folders that still have to be looked at, with something about each; the last that came
/// goes first. It has its memory to itself.
template <class Value>
class SpillStack {
  static_assert(std::is_trivially_destructible_v<Value>);

 public:
  explicit SpillStack(const Spill& spill) : memory_(spill) {}

  void push(std::string_view text, Value value) {
    memory_.count_use();
    const SpillScratch::Mark before = memory_.mark();
    const std::string_view kept = memory_.keep(text);
    top_ = ::new (memory_.allocate(sizeof(Item), alignof(Item))) Item{top_, before, kept, value};
  }

  std::optional<std::pair<std::string, Value>> pop() {
    if (top_ == nullptr) return std::nullopt;
    memory_.count_use();
    const Item& item = *top_;
    std::pair<std::string, Value> result(item.text, item.value);
    const SpillScratch::Mark before = item.before;
    top_ = item.below;
    memory_.rewind(before);
    return result;
  }

 private:
  struct Item {
    const Item* below;
    SpillScratch::Mark before;  ///< it was made
    std::string_view text;
    Value value;
  };

  SpillScratch memory_;
  const Item* top_ = nullptr;
};

}  // namespace lay
