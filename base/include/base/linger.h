#pragma once

#include <functional>
#include <string>

namespace lay {

/// What shall go when nobody has needed it for a moment.
struct Tidying {
  /// What is not to wait that long: called when 100 ms have passed without a call of tidy_later(), and at the
  /// latest 1 s after the first one, without the lock. May be empty.
  std::function<void()> soon = {};
  /// Runs `body` under the lock that everybody takes who begins or ends to need it.
  std::function<void(const std::function<void()>& body)> locked;
  /// Whether there is something that nobody needs. Called under the lock.
  std::function<bool()> is_due;
  /// Removes what nobody needs. Called under the lock.
  std::function<void()> remove;
};

/// Has what `prepare` gives done 2 s after the last call, by a process of its own, one for each `folder`
/// and `name` however many calls there are: for what takes long to remove or to make again, which neither
/// somebody who waits for an end nor somebody who starts the next one should wait for. When that process is
/// killed, the next one does it.
///   folder   absolute; when it is gone by then, its locks are too, and the removal is done without
///   name     of a file in it, for the lingering process's lock; its time of change is that of the last call
///   prepare  called at once in that process, which has none of the caller's descriptors
/// To be called under the lock, and by a process with one thread.
void tidy_later(const std::string& folder, const std::string& name, const std::function<Tidying()>& prepare);

/// Whether a process lingers that does what `Tidying::soon` says.
bool is_lingering(const std::string& folder, const std::string& name);

}  // namespace lay
