#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/spill_memory.h"
#include "base/stream.h"
#include "base/unique_fd.h"

namespace lay::layerstore {

/// What the walked folder is.
enum class TreeKind {
  upper,  ///< an overlay upper: char 0:0, opaque and whiteout xattrs stand for removals. "user.overlay.*"
          ///< counts as "trusted.overlay.*" does only when none of the latter is anywhere in it: then it is
          ///< of a mount with the option userxattr
  trusted_upper,  ///< one known to be of a mount without that option: "user.overlay.*" means nothing
  plain,  ///< a whole root file system, or a merged view: every entry stands for itself, and attributes of an
          ///< overlay, which can only be a nested one, are escaped as a lower has them
  live,   ///< as plain, while others change it: what vanishes is left out, and a file keeps the size it had;
          ///< no layer, so that any name may be in it and attributes have the names that are shown
};

struct DiffStats {
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;                ///< of the tar, before compression
  std::uint64_t skipped_sockets = 0;      ///< tar cannot hold them
  std::vector<std::string> mount_points;  ///< what is mounted there was left out; the first few
  std::uint64_t more_mount_points = 0;    ///< than these
  bool lacks_index =
      false;                ///< of an upper: overlay kept an index, which is not beside it, and may have more
  std::int64_t newest = 0;  ///< latest time among the entries, seconds after 1970
};

/// Opens the merged lowers of an overlay, nearest first. Called at most once, and only when the upper keeps a
/// part in them; what it opened must stay mounted until write_diff() returns.
using OpenLowers = std::function<std::vector<UniqueFd>()>;

/// Writes a folder as an OCI layer tar (pax where ustar does not reach).
///   root     open directory; tar names are relative to it and begin with its own entry "./"
///   out      receives the uncompressed tar, whose SHA-256 is the diff_id; not finished here
///   lowers   of an upper: where redirects and metacopies lead; without them these are unsupported. A
///            redirected folder is written opaque with all that the merged view shows in it, a metacopied
///            file with its data
///   spill    where the names of very large folders lie, and of many hard links
///   returns  counts; the same folder gives the same bytes on every machine and under every locale, umask and
///            clock
///   throws   Error io (unreadable, or changed while read), unsupported (a name beginning ".wh.", a redirect
///            or metacopy that cannot be followed)
///   order    in each folder whiteouts first, then byte order of the names; a folder before what it holds
///   kept     type, mode, owner, mtime in whole seconds, xattrs without overlay's own, hard links within the
///            tree, holes of 64 MiB together and more
///   source   image-spec layer.md "Whiteouts"; kernel overlayfs.rst "whiteouts and opaque directories",
///            "redirect_dir", "Metadata only copy up"
/// What is mounted inside is not entered, bind mounts included. Of an upper, what lies beneath is written, as
/// overlay sees it; otherwise empty folders or files.
DiffStats write_diff(const UniqueFd& root, TreeKind kind, ByteSink& out, const OpenLowers& lowers = {},
                     const Spill& spill = {});

}  // namespace lay::layerstore
