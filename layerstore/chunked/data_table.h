#pragma once

#include <cstddef>

#include "base/spill_memory.h"
#include "chunked/chunked_table.h"
#include "chunked/chunked_tail.h"

namespace lay::layerstore {

/// What the table of a zstd:chunked blob says of its data, in the order of the blob.
class DataTable {
 public:
  /// Throws invalid as read_chunked_table().
  DataTable(const ChunkedTail& tail, const Spill& spill) : memory_(spill), data_(memory_) {
    ChunkedTail::Source table = tail.table();
    read_chunked_table(table, tail.offset(), [&](const PackedData& data) {
      memory_.count_use();
      data_.push_back(data);
    });
  }

  std::size_t size() const { return data_.size(); }
  const PackedData& at(std::size_t index) const {
    memory_.count_use();
    return data_[index];
  }

 private:
  mutable SpillMemory memory_;
  SpillArray<PackedData> data_;
};

}  // namespace lay::layerstore
