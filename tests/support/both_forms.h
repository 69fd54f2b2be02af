#pragma once

#include <catch2/catch.hpp>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/mount.h"
#include "base/syscalls.h"
#include "erofs/erofs_mount.h"
#include "erofs/erofs_reader.h"
#include "erofs/erofs_writer.h"
#include "erofs/tree_builder.h"
#include "layer_description.h"
#include "layerstore/apply.h"
#include "spill_all.h"
#include "temp_folder.h"
#include "tree_description.h"

/// A layer has to look the same in both forms, and bad ones have to be refused by both for the same reason.
namespace lay::test {

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

/// What does not stay in memory gives the same image, and is read back from it the same.
inline void check_spilled_form(const std::string& tar, const std::string& image,
                               const TreeDescription& described) {
  StringSource source(tar);
  const layerstore::IndexedLayer spilled = layerstore::index_layer(source, {.spill = spill_all()});
  CHECK(spilled.tree.memory->spilled() > 0);
  StringSink again;
  layerstore::write_erofs(spilled.tree, tar.size(), again);
  CHECK((again.text() == image));
  CHECK(describe_layer_tree(layerstore::read_erofs(image, tar.size(), spill_all())) == described);
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
  check_spilled_form(tar, image.text(), described);

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
    CHECK(indexed.stats.folders == unpacked->folders);
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
