#pragma once

#include <sys/mount.h>

#include <catch2/catch.hpp>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/stream.h"
#include "base/syscalls.h"
#include "both_forms.h"
#include "diff/inode.h"
#include "layerstore/apply.h"
#include "layerstore/diff.h"
#include "shell.h"
#include "temp_folder.h"

namespace lay::test {

/// An overlay mount of the test's own, taken away at the end.
class OverlayMount {
 public:
  /// `options` as mount(8) takes them after -o; `at` is an existing folder.
  OverlayMount(const std::string& options, std::string at) : at_(std::move(at)) {
    if (::mount("overlay", at_.c_str(), "overlay", 0, options.c_str()) < 0)
      throw Error::from_errno("mount overlay with '{}'", options);
  }
  ~OverlayMount() { ::umount(at_.c_str()); }
  OverlayMount(const OverlayMount&) = delete;
  OverlayMount& operator=(const OverlayMount&) = delete;

 private:
  std::string at_;
};

/// Runs a script of sh(1) in `folder`; the test fails when the script does.
inline void run_in(const std::string& folder, const std::string& script) {
  const ShellResult result = shell("cd '" + folder + "' && set -e\n" + script);
  INFO(result.output);
  REQUIRE(result.status == 0);
}

inline std::string diff_of(const std::string& folder, layerstore::TreeKind kind = layerstore::TreeKind::upper,
                           const layerstore::OpenLowers& lowers = {}) {
  StringSink sink;
  layerstore::write_diff(sys::open_dir(sys::cwd(), folder), kind, sink, lowers);
  return sink.text();
}

/// Unpacks `tar`, and sees to it that its mounted form is the same (unless the folder holds something
/// already).
inline layerstore::ApplyStats apply_to(const std::string& folder, const std::string& tar) {
  const UniqueFd target = sys::open_dir(sys::cwd(), folder);
  const bool is_fresh = layerstore::read_folder(target).empty();
  StringSource source(tar);
  try {
    const layerstore::ApplyStats stats = layerstore::apply_layer(source, target);
    if (is_fresh) check_both_forms(folder, tar, stats, std::nullopt);
    return stats;
  } catch (const Error& error) {
    if (is_fresh) check_both_forms(folder, tar, std::nullopt, error);
    throw;
  }
}

/// Folders lower, upper, work, merged, layer and others in a temporary place.
struct OverlayFixture {
  TempFolder temp;

  OverlayFixture() { run_in(temp.path(), "mkdir lower upper work merged; mkdir -m 700 layer"); }
  std::string path(const std::string& name) const { return temp.path() + "/" + name; }

  /// Runs `script` in the merged view of lower and upper, as a container would change it.
  void change(const std::string& script, const std::string& options = "redirect_dir=off,metacopy=off") {
    const OverlayMount mount("lowerdir=" + path("lower") + ",upperdir=" + path("upper") +
                                 ",workdir=" + path("work") + (options.empty() ? "" : "," + options),
                             path("merged"));
    run_in(path("merged"), script);
  }
};

}  // namespace lay::test
