#pragma once

#include <catch2/catch.hpp>
#include <optional>
#include <string>

#include "base/progress.h"
#include "layerstore/commit.h"
#include "layerstore/store.h"
#include "shell.h"
#include "temp_folder.h"

namespace lay::test {

/// A store of the test's own.
struct TempStore {
  std::optional<layerstore::LayerForm> form = std::nullopt;
  TempFolder folder = {};
  layerstore::Store store = layerstore::Store::open(folder.path() + "/root", form);

  std::string path() const { return folder.path() + "/root"; }
};

/// A file system that is soon full; unmounted at the end however the test ends.
class SmallDisk {
 public:
  /// `size` as mount(8) takes it: "2m".
  explicit SmallDisk(const std::string& size) {
    REQUIRE(shell("mount -t tmpfs -o size=" + size + " lay-test " + folder_.path()).status == 0);
  }
  ~SmallDisk() { shell("umount " + folder_.path()); }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  const std::string& path() const { return folder_.path(); }
  void resize(const std::string& size) const {
    REQUIRE(shell("mount -o remount,size=" + size + " " + path()).status == 0);
  }

 private:
  TempFolder folder_;
};

/// A tree made by a shell script that runs in it.
inline UniqueFd make_tree(const TempFolder& folder, const std::string& name, const std::string& script) {
  const ShellResult made = shell("mkdir " + folder.path() + "/" + name + " && cd " + folder.path() + "/" +
                                 name + " && set -e\n" + script);
  INFO(made.output);
  REQUIRE(made.status == 0);
  return sys::open_dir(folder.fd(), name);
}

/// The tar of a folder with sorted names, as GNU tar writes it.
inline std::string tar_of(const std::string& path) {
  const ShellResult made = shell("tar --sort=name --numeric-owner --xattrs -C " + path + " -cf - .");
  REQUIRE(made.status == 0);
  return made.output;
}

/// Everything about a tree that a layer keeps, one line an entry. Times in whole seconds, as in a layer.
inline std::string listing(const std::string& path) {
  const ShellResult listed =
      shell("cd " + path + " && { find . -type d -printf '%p %y %m %U:%G %Ts\\n'; " +
            "find . ! -type d -printf '%p %y %m %U:%G %s %Ts %n %l\\n'; } | sort && " +
            "find . -type f -print0 | sort -z | xargs -0 -r sha256sum && " +
            "find . \\( -type b -o -type c \\) -print0 | sort -z | xargs -0 -r stat -c '%n %t %T' && " +
            "find . -print0 | sort -z | xargs -0 -r getfattr -h -d -m '^(user|security)' -e hex 2>/dev/null");
  INFO(listed.output);
  REQUIRE(listed.status == 0);
  return listed.output;
}

inline layerstore::Image import(const layerstore::Store& store, const std::string& tar,
                                const std::string& name,
                                layerstore::Compression compression = layerstore::Compression::zstd) {
  StringSource source(tar);
  return layerstore::import_tar(store, source, name, {.compression = {.compression = compression}},
                                no_progress());
}

/// Collects while containers need `in_use`.
inline layerstore::CollectResult collect(const layerstore::Store& store,
                                         const layerstore::InUse& in_use = {}) {
  return store.collect([&] { return in_use; });
}

/// How many names are left under ingest/, the gate apart.
inline std::size_t debris(const std::string& root) {
  return static_cast<std::size_t>(std::stoul(shell("ls " + root + "/ingest | wc -l").output));
}

}  // namespace lay::test
