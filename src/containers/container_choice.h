#pragma once

#include <functional>
#include <string>
#include <vector>

#include "flags/parser.h"
#include "runner/container.h"

namespace lay::cli {

/// Which containers a command is for: names, --cidfile, --latest, --all, --filter and --ignore of stop, kill,
/// rm, start, restart, pause and unpause, as podman has them.
class ContainerChoice {
 public:
  using Wanted = std::function<bool(const runner::Container& container)>;

  /// How a command calls two of the flags, of which it may need the short form for something else.
  struct Names {
    const char* all = "-a,--all";
    const char* filter = "-f,--filter";
  };

  /// `about_all` says on the help page which ones --all is for.
  void add_to(Parser& parser, const std::string& about_all, const Names& names = {"-a,--all", "-f,--filter"});
  /// --ignore, for commands that are content when there is no such container.
  void add_ignore_to(Parser& parser);
  /// The names of those that were chosen; of those that --all and --filter find only the ones that are
  /// wanted. Throws UsageError when none or two ways are used, and what keeps a file of --cidfile from being
  /// read.
  std::vector<std::string> find(const runner::ContainerStore& containers, const Wanted& is_wanted) const;
  bool ignores_missing() const { return ignores_missing_; }

 private:
  std::vector<std::string> names_;
  std::vector<std::string> id_files_;
  std::vector<std::string> filters_;
  bool all_ = false;
  bool latest_ = false;
  bool ignores_missing_ = false;
};

/// Its name alone; throws not_found when there is none.
std::vector<std::string> latest_container(const runner::ContainerStore& containers);

}  // namespace lay::cli
