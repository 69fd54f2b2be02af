#pragma once

#include <functional>
#include <string>
#include <vector>

#include "flags/parser.h"
#include "runner/container.h"

namespace lay::cli {

/// One container that a command is for.
struct Chosen {
  std::string name;  ///< to be shown: what the user called it, or its name
  /// To be found by. Of one that lay has chosen its id: the name may be another's by then.
  std::string key;
};

/// Which containers a command is for: names, --cidfile, --latest, --all, --filter and --ignore of stop, kill,
/// rm, start, restart, pause and unpause, as podman has them.
class ContainerChoice {
 public:
  using Wanted = std::function<bool(const runner::Container& container)>;
  /// `name` is what it is to be called.
  using Work = std::function<void(runner::Container& container, const std::string& name)>;

  /// How a command calls two of the flags, of which it may need the short form for something else.
  struct Names {
    const char* all = "-a,--all";
    const char* filter = "-f,--filter";
  };

  /// `about_all` says on the help page which ones --all is for.
  void add_to(Parser& parser, const std::string& about_all, const Names& names = {"-a,--all", "-f,--filter"});
  /// --ignore, for commands that are content when there is no such container.
  void add_ignore_to(Parser& parser);
  /// As if --all had been given, by `flag`. Throws UsageError when another way is used beside it.
  void take_all(const std::string& flag);
  /// Those that were chosen; of those that --all and --filter find only the ones that are wanted. Throws
  /// UsageError when none or two ways are used, and what keeps a file of --cidfile from being read.
  std::vector<Chosen> find(const runner::ContainerStore& containers, const Wanted& is_wanted) const;
  bool ignores_missing() const { return ignores_missing_; }
  /// Does `work` for each that find() gives, as for_each_name() does; with --ignore one that is not there, or
  /// is gone before the work is done, is none of the failures.
  int for_each(const std::string& verb, const runner::ContainerStore& containers, const Wanted& is_wanted,
               const Work& work) const;

 private:
  std::vector<std::string> names_;
  std::vector<std::string> id_files_;
  std::vector<std::string> filters_;
  bool all_ = false;
  bool latest_ = false;
  bool ignores_missing_ = false;
};

/// The one made last; throws not_found when there is none.
Chosen latest_container(const runner::ContainerStore& containers);

}  // namespace lay::cli
