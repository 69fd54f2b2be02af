#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runner/spec.h"

/// Classes of service for the cache and the memory bandwidth of processors: the kernel's
/// Documentation/filesystems/resctrl.rst; runtime-spec, config-linux.md, "IntelRdt".
namespace lay::runner {

/// Where the file system is mounted. Throws unsupported, with a hint, when it is not.
std::string find_resctrl();
/// Empty when it is not mounted.
std::optional<std::string> try_find_resctrl();
/// That of the class of `rdt`, or of the name `id` when it names none.
std::string class_folder(const std::string& root, const IntelRdt& rdt, const std::string& id);

/// A container's place in the file system at `root`. Destroyed, it removes what was made for it, unless it is
/// left.
class ResctrlGroup {
 public:
  /// The class of `rdt`, or of the name `id` when it names none. One that is there already must have the
  /// schemata that `rdt` asks for; one that is not is made, if `rdt` asks for any, and given them. Throws
  /// not_found, invalid, and what the kernel says of the schemata.
  static ResctrlGroup create(const std::string& root, const IntelRdt& rdt, const std::string& id);
  /// What create() may make and is gone with the container: of a class with a name of its own only the
  /// monitors, for others may be in it.
  static std::vector<std::string> own_folders(const std::string& root, const IntelRdt& rdt,
                                              const std::string& id);
  /// The places that folders() told before.
  static ResctrlGroup open(std::vector<std::string> folders);
  ResctrlGroup(ResctrlGroup&& other) noexcept = default;
  ResctrlGroup& operator=(ResctrlGroup&&) = delete;
  ~ResctrlGroup();

  /// Moves the calling process, which has one thread; its children follow. While the host's paths can be
  /// reached.
  void enter() const;
  /// Absolute paths of the folders that a process is placed in.
  const std::vector<std::string>& folders() const { return folders_; }
  /// Those of them that were made for it.
  const std::vector<std::string>& made() const { return made_; }
  /// Whoever finds them by made() removes them.
  void leave() { made_.clear(); }

 private:
  ResctrlGroup() = default;
  std::vector<std::string> folders_;
  std::vector<std::string> made_;
};

/// Other schemata of a class that is there. Destroyed, it sets the old ones again, unless it is kept.
class SchemataChange {
 public:
  /// Throws what the kernel says of the schemata of `wanted`; the old ones are in force then.
  SchemataChange(const std::string& root, std::string folder, const IntelRdt& wanted);
  SchemataChange(SchemataChange&& other) noexcept;
  SchemataChange& operator=(SchemataChange&& other) noexcept;
  ~SchemataChange();
  void keep() { before_.clear(); }

 private:
  void undo() noexcept;
  std::string root_;
  std::string folder_;
  std::string before_;
};

/// Removes folders that ResctrlGroup::made() told, innermost first; their processes go to the class above.
/// Ones that are gone are no error.
void remove_resctrl_folders(const std::vector<std::string>& made);

}  // namespace lay::runner
