#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>

namespace lay {

/// A bounded number of places for work that takes much memory; who finds none free waits. For any thread.
class Slots {
 public:
  explicit Slots(unsigned count) : free_(count) {}

  /// A place, given back at the end of its life. The Slots must outlive it.
  class Taken {
   public:
    explicit Taken(Slots& slots) : slots_(slots) {}
    Taken(const Taken&) = delete;
    Taken& operator=(const Taken&) = delete;
    ~Taken() { slots_.give_back(); }

   private:
    Slots& slots_;
  };

  /// Waits for a place. Throws cancelled when the user asks to stop meanwhile, and what `check` throws: it is
  /// called now and then.
  Taken take(const std::function<void()>& check = {});

 private:
  void give_back();

  std::mutex mutex_;
  std::condition_variable changed_;
  unsigned free_;
};

}  // namespace lay
