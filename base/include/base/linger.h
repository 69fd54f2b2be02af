#pragma once

#include <functional>
#include <string>

namespace lay {

/// What shall go when nobody has needed it for a moment.
struct Tidying {
  /// What is not to wait until nobody needs it: called first, without the lock. May be empty.
  std::function<void()> at_once;
  /// Runs `body` under the lock that everybody takes who begins or ends to need it.
  std::function<void(const std::function<void()>& body)> locked;
  /// Whether there is something that nobody needs. Called under the lock.
  std::function<bool()> is_due;
  /// Removes what nobody needs. Called under the lock.
  std::function<void()> remove;
};

enum class Urgency { later, at_once };

/// Has what `prepare` gives done 2 s after the last call, by a process of its own, one for each `folder`
/// and `name` however many calls there are: for what takes long to remove or to make again, which neither
/// somebody who waits for an end nor somebody who starts the next one should wait for. When that process is
/// killed, the next one does it.
///   folder   absolute; when it is gone by then, its locks are too, and the removal is done without
///   name     of a file in it, for the lingering process's lock; its time of change is that of the last call
///   prepare  called at once in that process, which has none of the caller's descriptors
///   urgency  at_once starts a process even if another one lingers already, for what Tidying::at_once does
/// To be called under the lock, and by a process with one thread.
void tidy_later(const std::string& folder, const std::string& name, const std::function<Tidying()>& prepare,
                Urgency urgency = Urgency::later);

}  // namespace lay
