#pragma once

#include <catch2/catch.hpp>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/mount.h"
#include "base/syscalls.h"
#include "erofs_mount.h"
#include "erofs_reader.h"
#include "erofs_writer.h"
#include "layerstore/apply.h"
#include "temp_folder.h"
#include "tree_builder.h"
#include "tree_description.h"

/// A layer has to look the same in both forms, and bad ones have to be refused by both for the same reason.
namespace lay::test {

/// What a LayerTree says, in the words of TreeDescriber::describe() with Contents::no.
inline TreeDescription describe_layer_tree(const layerstore::LayerTree& tree) {
  TreeDescription result;
  std::map<layerstore::InodeIndex, std::string> first_names;
  const auto describe = [&](layerstore::InodeIndex index, const std::string& path) {
    const layerstore::LayerInode& inode = tree.inodes[index];
    if (layerstore::is_whiteout(inode)) return std::string("whiteout");
    std::string text =
        fmt::format("mode {:o} owner {}:{} mtime {}", inode.mode, inode.uid, inode.gid, inode.mtime.tv_sec);
    if (S_ISCHR(inode.mode) || S_ISBLK(inode.mode))
      text += fmt::format(" device {}:{}", gnu_dev_major(inode.extras().device),
                          gnu_dev_minor(inode.extras().device));
    if (S_ISLNK(inode.mode)) text += " -> " + printable(inode.extras().link);
    if (S_ISREG(inode.mode)) text += fmt::format(" size {}", inode.size);
    for (const layerstore::Xattr& xattr : inode.extras().xattrs)
      if (!layerstore::overlay_xattr(xattr.name)) text += " " + xattr.name + "=" + printable(xattr.value);
    if (layerstore::is_opaque(inode)) text += " opaque";
    if (!inode.names && inode.links > 1)
      text += " first name " + printable(first_names.try_emplace(index, path).first->second);
    return text;
  };
  const std::function<void(layerstore::InodeIndex, const std::string&)> walk =
      [&](layerstore::InodeIndex folder, const std::string& path) {
        for (const layerstore::FolderName& name : *tree.inodes[folder].names) {
          const layerstore::InodeIndex index = name.inode();
          const std::string inner = fmt::format("{}/{}", path, name.name());
          result[printable(inner)] = describe(index, inner);
          if (tree.inodes[index].names) walk(index, inner);
        }
      };
  result["."] = describe(0, ".");
  walk(0, ".");
  return result;
}

/// The regions of each sparse file.
inline std::map<std::string, std::vector<layerstore::DataRegion>> regions_of(
    const layerstore::LayerTree& tree) {
  std::map<std::string, std::vector<layerstore::DataRegion>> result;
  layerstore::walk_tree(tree,
                        [&](layerstore::InodeIndex inode, layerstore::InodeIndex, const std::string& path) {
                          if (tree.inodes[inode].extras().regions)
                            result[path] = *tree.inodes[inode].extras().regions;
                        });
  return result;
}

/// A tar and its image as the kernel shows them.
class MountedForm {
 public:
  MountedForm(const std::string& tar, const std::string& image)
      : tar_(write("tar", tar)), mount_(layerstore::mount_erofs(write("image", image), tar_)) {}
  const UniqueFd& root() const { return mount_; }

 private:
  UniqueFd write(const std::string& name, const std::string& text) const {
    UniqueFd file = sys::open_at(temp_.fd(), name, O_RDWR | O_CREAT, 0600);
    sys::write_all(file, text);
    return file;
  }

  TempFolder temp_;
  UniqueFd tar_;
  UniqueFd mount_;
};

/// The image over `tar`.
inline std::string image_of(const std::string& tar) {
  StringSource source(tar);
  StringSink image;
  layerstore::write_erofs(layerstore::index_layer(source).tree, tar.size(), image);
  return image.text();
}

/// The mounted form of `tar`, beside its unpacked form in `folder`.
inline void check_mounted_form(const std::string& folder, const std::string& tar,
                               const layerstore::IndexedLayer& indexed) {
  StringSink image;
  layerstore::write_erofs(indexed.tree, tar.size(), image);
  const TreeDescription described = describe_layer_tree(indexed.tree);
  const layerstore::LayerTree read_back = layerstore::read_erofs(image.text(), tar.size());
  CHECK(describe_layer_tree(read_back) == described);
  CHECK((regions_of(read_back) == regions_of(indexed.tree)));
  CHECK(describe_tree(folder, Contents::no) == described);

  const MountedForm mounted(tar, image.text());
  CHECK(TreeDescriber(Contents::yes).describe(mounted.root()) == describe_tree(folder));
}

/// To be called with what apply_layer() did to the empty `folder`: the mounted form must show the same tree,
/// or be refused with the same code.
inline void check_both_forms(const std::string& folder, const std::string& tar,
                             const std::optional<layerstore::ApplyStats>& unpacked,
                             const std::optional<Error>& refusal) {
  StringSource source(tar);
  try {
    const layerstore::IndexedLayer indexed = layerstore::index_layer(source);
    INFO("refused when unpacked: " << (refusal ? refusal->message() : "no"));
    REQUIRE(unpacked);
    CHECK(indexed.stats.implied == unpacked->implied);
    CHECK(indexed.stats.entries == unpacked->entries);
    CHECK(indexed.stats.newest == unpacked->newest);
    check_mounted_form(folder, tar, indexed);
  } catch (const Error& error) {
    INFO("refused when mounted: " << error.message());
    REQUIRE(refusal);
    CHECK(error.code() == refusal->code());
  }
}

}  // namespace lay::test
