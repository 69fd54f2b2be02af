#include "rootfs/host_devices.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "base/error.h"
#include "base/folder_names.h"
#include "base/syscalls.h"
#include "base/text.h"

namespace lay::runner {

namespace {

/// Of /dev: what every container has of its own.
constexpr std::array<std::string_view, 7> kOwn{"pts", "shm", "mqueue", "fd", "console", "ptmx", "tty"};

constexpr const char* kHint = "ls -l /dev shows what this machine has";

UniqueFd open_device(const std::string& host) {
  try {
    return sys::open_at(sys::cwd(), host, O_PATH);
  } catch (Error& error) {
    error.with_hint(kHint);
    throw;
  }
}

bool is_device(const struct ::stat& info) {
  return S_ISCHR(info.st_mode) || S_ISBLK(info.st_mode);
}

Device device_of(const struct ::stat& info, const std::string& inside) {
  return {.path = inside,
          .type = S_ISCHR(info.st_mode) ? "c" : "b",
          .major = ::major(info.st_rdev),
          .minor = ::minor(info.st_rdev),
          .file_mode = info.st_mode & 07777U,
          .uid = info.st_uid,
          .gid = info.st_gid};
}

void add_folder(const UniqueFd& folder, const std::string& inside, std::vector<Device>& devices) {
  for (const std::string& name : list_names(folder)) {
    if (inside == "/dev" && std::find(kOwn.begin(), kOwn.end(), name) != kOwn.end()) continue;
    const auto info = sys::try_stat_at(folder, name);
    if (!info) continue;  // gone meanwhile
    const std::string path = fmt::format("{}/{}", inside, name);
    if (S_ISDIR(info->st_mode))
      add_folder(sys::open_dir(folder, name), path, devices);
    else if (is_device(*info))
      devices.push_back(device_of(*info, path));
  }
}

}  // namespace

std::vector<Device> find_devices(const std::string& host, const std::string& inside) {
  return with_context(fmt::format("device '{}'", printable(host)), [&] {
    std::vector<Device> devices;
    const UniqueFd fd = open_device(host);
    const struct ::stat info = sys::stat_of(fd);
    if (S_ISDIR(info.st_mode))
      add_folder(sys::open_dir(fd, "."), inside, devices);
    else if (is_device(info))
      devices.push_back(device_of(info, inside));
    if (devices.empty()) throw Error(Errc::invalid, "is no device, nor a folder with some").with_hint(kHint);
    return devices;
  });
}

}  // namespace lay::runner
