#include "security/user_lookup.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "base/syscalls.h"
#include "base/text.h"

namespace lay::runner {

namespace {

constexpr std::size_t kMaxFileSize = 4 * 1024 * 1024;

struct PasswdEntry {
  std::string name;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::string home;
};

struct GroupEntry {
  std::string name;
  std::uint32_t gid = 0;
  std::vector<std::string> members;
};

/// passwd(5): name:password:uid:gid:gecos:home:shell.
std::optional<PasswdEntry> parse_passwd_line(std::string_view line) {
  const std::vector<std::string> fields = split(line, ':');
  if (fields.size() < 6) return std::nullopt;
  const auto uid = parse_id(fields[2]);
  const auto gid = parse_id(fields[3]);
  if (!uid || !gid) return std::nullopt;
  return PasswdEntry{.name = fields[0], .uid = *uid, .gid = *gid, .home = fields[5]};
}

/// group(5): name:password:gid:member,member.
std::optional<GroupEntry> parse_group_line(std::string_view line) {
  const std::vector<std::string> fields = split(line, ':');
  if (fields.size() < 4) return std::nullopt;
  const auto gid = parse_id(fields[2]);
  if (!gid) return std::nullopt;
  return GroupEntry{.name = fields[0], .gid = *gid, .members = split(fields[3], ',')};
}

/// The first entry that `wanted` accepts; files are read line by line, since only one line is of use.
template <class Parse, class Wanted>
auto find_entry(std::string_view text, Parse parse, Wanted wanted) -> decltype(parse(text)) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    if (auto entry = parse(text.substr(0, end)); entry && wanted(*entry)) return entry;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return std::nullopt;
}

std::optional<PasswdEntry> find_user(std::string_view passwd, const std::string& name) {
  if (auto entry = find_entry(passwd, parse_passwd_line, [&](const auto& e) { return e.name == name; }))
    return entry;
  const auto uid = parse_id(name);
  if (!uid) return std::nullopt;
  return find_entry(passwd, parse_passwd_line, [&](const auto& e) { return e.uid == *uid; });
}

std::uint32_t group_id(std::string_view group, const std::string& name) {
  if (const auto entry = find_entry(group, parse_group_line, [&](const auto& e) { return e.name == name; }))
    return entry->gid;
  if (const auto gid = parse_id(name)) return *gid;
  throw Error::make(Errc::not_found, "group '{}' is not in the container's /etc/group", name)
      .with_hint("use a number, or add the group to the image");
}

std::vector<std::uint32_t> memberships(std::string_view group, const std::string& user) {
  std::vector<std::uint32_t> gids;
  find_entry(group, parse_group_line, [&](const GroupEntry& entry) {
    if (std::find(entry.members.begin(), entry.members.end(), user) != entry.members.end())
      gids.push_back(entry.gid);
    return false;
  });
  return gids;
}

/// The primary group belongs to the supplementary ones: otherwise a file that shuts that group out could be
/// had by a setgid program that drops it.
void put_primary_first(Account& account) {
  std::erase(account.groups, account.gid);
  account.groups.insert(account.groups.begin(), account.gid);
}

Account resolve_numbers(const User& user, std::string_view passwd) {
  Account account{.uid = user.uid, .gid = user.gid, .groups = user.additional_gids};
  const auto entry = find_entry(passwd, parse_passwd_line, [&](const auto& e) { return e.uid == user.uid; });
  if (entry && !entry->home.empty()) account.home = entry->home;
  return account;
}

Account resolve_name(const User& user, std::string_view passwd, std::string_view group) {
  const std::size_t colon = user.username.find(':');
  const std::string name = user.username.substr(0, colon);
  Account account{.groups = user.additional_gids};
  const auto entry = find_user(passwd, name);
  if (entry) {
    account.uid = entry->uid;
    account.gid = entry->gid;
    if (!entry->home.empty()) account.home = entry->home;
  } else if (const auto uid = parse_id(name)) {
    account.uid = *uid;
  } else {
    throw Error::make(Errc::not_found, "user '{}' is not in the container's /etc/passwd", name)
        .with_hint("use a number, or add the user to the image");
  }
  if (colon != std::string::npos) {
    account.gid = group_id(group, user.username.substr(colon + 1));
  } else if (entry) {
    for (const std::uint32_t gid : memberships(group, entry->name)) account.groups.push_back(gid);
  }
  return account;
}

std::string read_account_file(const UniqueFd& root, const std::string& path) {
  const auto fd = sys::try_open_in_root(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  if (!fd) return {};
  const struct ::stat info = sys::stat_of(*fd);
  if (S_ISCHR(info.st_mode) && info.st_rdev == ::makedev(1, 3)) return {};  // masked
  if (!S_ISREG(info.st_mode))
    throw Error::make(Errc::invalid, "the container's '{}' is not a regular file", path);
  return with_context("read the container's " + path, [&] { return sys::read_all(*fd, kMaxFileSize); });
}

}  // namespace

Account resolve_user(const User& user, std::string_view passwd, std::string_view group) {
  Account account = user.username.empty() ? resolve_numbers(user, passwd) : resolve_name(user, passwd, group);
  for (const std::string& name : user.group_names) account.groups.push_back(group_id(group, name));
  if (user.lists_primary_group) put_primary_first(account);
  return account;
}

Account look_up_user(const User& user) {
  return look_up_user(user, sys::open_at(sys::cwd(), "/", O_PATH | O_DIRECTORY));
}

Account look_up_user(const User& user, const UniqueFd& root, const std::vector<std::string>& masked) {
  const auto text_of = [&](const std::string& path) {
    return std::ranges::find(masked, path) != masked.end() ? std::string() : read_account_file(root, path);
  };
  return resolve_user(user, text_of("/etc/passwd"), text_of("/etc/group"));
}

void settle_user(Process& process, const Account& account) {
  process.user = {.uid = account.uid,
                  .gid = account.gid,
                  .additional_gids = account.groups,
                  .umask = process.user.umask,
                  .username = {},
                  .group_names = {}};
  const bool has_home = std::any_of(process.env.begin(), process.env.end(),
                                    [](const std::string& entry) { return entry.starts_with("HOME="); });
  if (!has_home) process.env.push_back("HOME=" + account.home);
}

}  // namespace lay::runner
