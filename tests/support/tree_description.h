#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/syscalls.h"
#include "base/text.h"
#include "base/unique_fd.h"
#include "diff/inode.h"
#include "layerstore/digest.h"
#include "overlay/overlay_notation.h"

namespace lay::test {

/// Path to everything a layer keeps of an inode: type, mode, owner, time in seconds, device, link target,
/// extended attributes without overlay's, the first name of a hard link group, and content. Two trees are the
/// same when their descriptions are equal; Catch2 then prints the differing lines.
using TreeDescription = std::map<std::string, std::string>;

enum class Contents { yes, no };

class TreeDescriber {
 public:
  /// Without contents, sizes stand for them.
  explicit TreeDescriber(Contents contents = Contents::yes) : contents_(contents) {}

  TreeDescription describe(const UniqueFd& root) {
    add(root, ".", ".");
    return std::move(result_);
  }

 private:
  void add(const UniqueFd& dir, const std::string& name, const std::string& path) {
    const UniqueFd node = sys::open_at(dir, name, O_PATH | O_NOFOLLOW);
    const struct ::stat status = sys::stat_of(node);
    const bool folder = S_ISDIR(status.st_mode);
    if (layerstore::is_whiteout_node(status)) {  // whose it is and from when, nobody sees
      result_[printable(path)] = "whiteout";
      return;
    }
    std::string text = fmt::format("mode {:o} owner {}:{} mtime {}", status.st_mode, status.st_uid,
                                   status.st_gid, status.st_mtim.tv_sec);
    if (S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode))
      text += fmt::format(" device {}:{}", gnu_dev_major(status.st_rdev), gnu_dev_minor(status.st_rdev));
    if (S_ISLNK(status.st_mode)) text += " -> " + printable(sys::readlink_at(node, ""));
    if (S_ISREG(status.st_mode))
      text += contents_ == Contents::yes ? " content " + content_of(dir, name, status)
                                         : fmt::format(" size {}", status.st_size);
    std::vector<std::string> xattrs = sys::list_xattrs(node);
    std::sort(xattrs.begin(), xattrs.end());
    for (const std::string& xattr : xattrs)
      if (layerstore::shown_xattr_name(xattr))  // overlay's own are not
        text += " " + xattr + "=" + printable(*sys::get_xattr(node, xattr));
    if (sys::get_xattr(node, layerstore::kOpaqueXattr) == "y") text += " opaque";
    if (!folder && status.st_nlink > 1) text += " first name " + printable(first_name(status, path));
    result_[printable(path)] = text;
    if (!folder) return;
    const UniqueFd inner = sys::open_dir(dir, name);
    auto children = layerstore::read_folder(inner);
    std::sort(children.begin(), children.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
    for (const auto& child : children) add(inner, child.name, path + "/" + child.name);
  }

  static std::string content_of(const UniqueFd& dir, const std::string& name, const struct ::stat& status) {
    const UniqueFd file = sys::open_at(dir, name, O_RDONLY | O_NOFOLLOW);
    const auto size = static_cast<std::uint64_t>(status.st_size);
    if (size > kWholeContent) return sparse_content_of(file, size);
    return layerstore::digest_of(sys::read_all(file, size + 1)).short_hex();
  }

  /// The blocks that are not all zeros, whether or not the others are holes.
  static std::string sparse_content_of(const UniqueFd& file, std::uint64_t size) {
    constexpr std::uint64_t kBlock = 65536;
    std::string text = fmt::format("{} bytes", size);
    std::string block(kBlock, '\0');
    for (std::uint64_t at = 0; at < size;) {
      const auto data = layerstore::seek_data(file, at);
      if (!data) break;
      const std::uint64_t end = std::min(layerstore::seek_hole(file, *data), size);
      for (at = std::max(at, *data / kBlock * kBlock); at < end; at += kBlock) {
        const std::size_t count = sys::pread_some(file, std::as_writable_bytes(std::span(block)), at);
        const std::string_view bytes(block.data(), count);
        if (bytes.find_first_not_of('\0') == std::string_view::npos) continue;
        text += fmt::format(" {}@{}", layerstore::digest_of(bytes).short_hex(), at);
      }
    }
    return text;
  }

  std::string first_name(const struct ::stat& status, const std::string& path) {
    return first_names_.try_emplace({status.st_dev, status.st_ino}, path).first->second;
  }

  static constexpr std::uint64_t kWholeContent = 64 * 1024 * 1024;

  const Contents contents_;
  TreeDescription result_;
  std::map<std::pair<dev_t, ino_t>, std::string> first_names_;
};

inline TreeDescription describe_tree(const std::string& path, Contents contents = Contents::yes) {
  return TreeDescriber(contents).describe(sys::open_dir(sys::cwd(), path));
}

/// What differs between two trees, one line for each side of a path; empty when they are the same.
inline std::string tree_difference(const std::string& left, const std::string& right) {
  const TreeDescription a = describe_tree(left);
  const TreeDescription b = describe_tree(right);
  std::string lines;
  const auto missing = [&](const TreeDescription& here, const TreeDescription& there, const char* sign) {
    for (const auto& [path, text] : here)
      if (const auto other = there.find(path); other == there.end() || other->second != text)
        lines += sign + path + " " + text + "\n";
  };
  missing(a, b, "- ");
  missing(b, a, "+ ");
  return lines;
}

}  // namespace lay::test
