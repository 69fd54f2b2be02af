#pragma once

#include <mutex>
#include <optional>
#include <utility>

namespace lay {

/// A value that is made when it is first asked for, by one thread while others wait. Where making it throws,
/// the next one to ask tries again. What std::call_once does, but that throws through pthread_once(3) of the
/// C library, whose unwinder is that of libgcc_s: a program with an unwinder of its own aborts there.
template <class T>
class Lazy {
 public:
  template <class Make>
  const T& get(Make make) {
    const std::scoped_lock lock(making_);
    if (!value_) value_.emplace(make());
    return *value_;
  }

 private:
  std::mutex making_;
  std::optional<T> value_;
};

}  // namespace lay
