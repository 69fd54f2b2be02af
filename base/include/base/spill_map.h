#pragma once

#include <algorithm>
#include <cstddef>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/spill_memory.h"

namespace lay {

/// A table by keys in such memory. It lies in sorted runs, cut in two when they are full, of which only the
/// first keys are always in memory: so a look pages in one run and no more, however many there are.
template <class Key, class Value>
class SpillMap {
  static_assert(std::is_trivially_copyable_v<Key> && std::is_trivially_copyable_v<Value>);

 public:
  explicit SpillMap(SpillMemory& memory) : memory_(&memory) {}

  /// Null where there is none.
  Value* find(const Key& key) {
    memory_->count_use();
    if (runs_.empty()) return nullptr;
    const Run& run = runs_[run_of(key)];
    Item* const place = place_in(run, key);
    return place != run.items + run.size && place->key == key ? &place->value : nullptr;
  }

  /// What is kept for `key`, and whether that is `value` since now. Valid until something is added.
  std::pair<Value*, bool> try_emplace(const Key& key, const Value& value) {
    if (Value* const present = find(key)) return {present, false};
    Run& run = run_with_room(key);
    Item* const place = place_in(run, key);
    std::copy_backward(place, run.items + run.size, run.items + run.size + 1);
    *place = {key, value};
    ++run.size;
    run.first = run.items->key;
    return {&place->value, true};
  }

  /// Calls `visit(key, value)` for each, by the keys.
  template <class Visit>
  void for_each(Visit&& visit) const {
    for (const Run& run : runs_)
      for (std::size_t i = 0; i < run.size; ++i) {
        memory_->count_use();
        visit(run.items[i].key, run.items[i].value);
      }
  }

 private:
  static constexpr std::size_t kMaxRun = 256;

  struct Item {
    Key key;
    Value value;
  };
  struct Run {
    Key first;
    Item* items;
    std::size_t size;
  };

  /// The one that has `key`, or that it would go into.
  std::size_t run_of(const Key& key) const {
    const auto after = std::upper_bound(runs_.begin(), runs_.end(), key,
                                        [](const Key& wanted, const Run& run) { return wanted < run.first; });
    const auto index = static_cast<std::size_t>(after - runs_.begin());
    return index == 0 ? 0 : index - 1;
  }

  static Item* place_in(const Run& run, const Key& key) {
    return std::lower_bound(run.items, run.items + run.size, key,
                            [](const Item& item, const Key& wanted) { return item.key < wanted; });
  }

  /// Keys mostly ascend: then the runs become full.
  Run& run_with_room(const Key& key) {
    if (runs_.empty()) return add_run(0, key);
    const std::size_t index = run_of(key);
    if (runs_[index].size < kMaxRun) return runs_[index];
    const bool is_last = index + 1 == runs_.size() && runs_[index].items[kMaxRun - 1].key < key;
    if (is_last) return add_run(runs_.size(), key);
    split(index);
    return runs_[run_of(key)];
  }

  Run& add_run(std::size_t index, const Key& first) {
    auto* const items = static_cast<Item*>(memory_->allocate(kMaxRun * sizeof(Item), alignof(Item)));
    return *runs_.insert(runs_.begin() + static_cast<std::ptrdiff_t>(index), Run{first, items, 0});
  }

  void split(std::size_t index) {
    constexpr std::size_t kHalf = kMaxRun / 2;
    const Item* const upper = runs_[index].items + kHalf;
    Run& added = add_run(index + 1, upper->key);
    std::copy(upper, upper + kHalf, added.items);
    added.size = kHalf;
    runs_[index].size = kHalf;
  }

  SpillMemory* memory_;
  std::vector<Run> runs_;  ///< ascending, none of them empty
};

}  // namespace lay
