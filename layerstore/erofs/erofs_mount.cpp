#include "erofs/erofs_mount.h"

#include <fcntl.h>
#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>

#include "base/error.h"
#include "base/mount.h"
#include "base/remove_tree.h"
#include "base/stream.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "erofs/erofs_writer.h"
#include "erofs/tree_builder.h"
#include "tar/tar_block.h"

namespace lay::layerstore {

namespace {

constexpr KernelRelease kFirstRelease{6, 12, 2};

constexpr const char* kProbe = "erofs-probe";
constexpr std::string_view kProbeText = "lay";

/// A number and the dot behind it, taken off the front of `text`.
unsigned take_number(std::string_view& text, std::string_view whole) {
  unsigned number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{})
    throw Error::make(Errc::invalid, "'{}' is not the release of a kernel", printable(whole));
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  if (text.starts_with('.')) text.remove_prefix(1);
  return number;
}

/// Whether the machine is short of something just now, which says nothing of what it can do.
bool is_shortage(const Error& error) {
  constexpr std::array kShortages{EIO, ENOSPC, EDQUOT, EMFILE, ENFILE, ENOMEM, EINTR, EROFS, EAGAIN};
  return std::find(kShortages.begin(), kShortages.end(), error.error_number()) != kShortages.end();
}

/// A layer of one file, whose text fills the first block of the tar.
void probe_in(const UniqueFd& folder) {
  const int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW;
  const UniqueFd tar = sys::open_at(folder, "tar", flags, 0600);
  std::string block(kProbeText);
  block.resize(kTarBlock);
  sys::write_all(tar, block);
  TreeBuilder builder;
  builder.add({.path = "file", .mode = 0600, .size = kProbeText.size()}, 0);
  const UniqueFd image = sys::open_at(folder, "image", flags, 0600);
  FdSink sink(image);
  write_erofs(builder.finish(), kTarBlock, sink);
  const UniqueFd mount = mount_erofs(image, tar);
  const UniqueFd file = sys::open_at(mount, "file", O_RDONLY | O_NOFOLLOW);
  if (sys::read_all(file, kTarBlock) != kProbeText)
    throw Error(Errc::io, "a mounted layer does not show what is in it");
}

}  // namespace

KernelRelease parse_kernel_release(std::string_view text) {
  std::string_view rest = text;
  KernelRelease release;
  release.major = take_number(rest, text);
  release.minor = take_number(rest, text);
  if (!rest.empty() && rest.front() >= '0' && rest.front() <= '9') release.patch = take_number(rest, text);
  return release;
}

std::optional<std::string> why_not_mountable(const KernelRelease& release) {
  if (release >= kFirstRelease) return std::nullopt;
  return fmt::format("Linux {}.{}.{} cannot mount them, {}.{}.{} is the first that can", release.major,
                     release.minor, release.patch, kFirstRelease.major, kFirstRelease.minor,
                     kFirstRelease.patch);
}

namespace {

std::optional<std::string> why_not_mountable() {
  ::utsname name{};
  if (::uname(&name) < 0) throw Error::from_errno("ask for the kernel's release");
  return why_not_mountable(parse_kernel_release(name.release));
}

}  // namespace

std::optional<std::string> why_not_mountable(const UniqueFd& folder) {
  if (auto reason = why_not_mountable()) return reason;
  try {
    remove_tree(folder, kProbe);
    sys::mkdir_at(folder, kProbe, 0700);
    probe_in(sys::open_dir(folder, kProbe));
    remove_tree(folder, kProbe);
  } catch (const Error& error) {
    if (is_shortage(error)) throw;
    // fs/super.c asks for a block device where a file's own file system has none behind it
    if (error.error_number() == ENOTBLK) return "files of the store's file system cannot be mounted";
    return error.message();
  }
  return std::nullopt;
}

UniqueFd mount_erofs(const UniqueFd& image, const UniqueFd& tar) {
  if (auto reason = why_not_mountable()) throw Error(Errc::unsupported, std::move(*reason));
  FsContext context("erofs");
  context.set_string("source", fd_path(image));
  context.set_string("device", fd_path(tar));
  context.set_flag("ro");
  return context.mount(MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID);
}

}  // namespace lay::layerstore
