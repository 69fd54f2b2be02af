#include "tar/acl_text.h"

#include <linux/posix_acl.h>
#include <linux/posix_acl_xattr.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <tuple>
#include <vector>

#include "base/error.h"
#include "base/text.h"

namespace lay::layerstore {

namespace {

struct AclEntry {
  std::uint32_t tag = 0;
  std::uint32_t permissions = 0;
  std::uint32_t id = 0;
};

[[noreturn]] void throw_invalid(std::string_view line) {
  throw Error::make(Errc::invalid, "'{}' is no entry of an access list", printable(line.substr(0, 100)));
}

std::uint32_t tag_of(std::string_view word, bool is_named, std::string_view line) {
  if (word == "user" || word == "u") return is_named ? ACL_USER : ACL_USER_OBJ;
  if (word == "group" || word == "g") return is_named ? ACL_GROUP : ACL_GROUP_OBJ;
  if ((word == "mask" || word == "m") && !is_named) return ACL_MASK;
  if ((word == "other" || word == "o") && !is_named) return ACL_OTHER;
  throw_invalid(line);
}

std::uint32_t permissions_of(std::string_view word, std::string_view line) {
  std::uint32_t permissions = 0;
  for (const char c : word) {
    if (c == 'r')
      permissions |= ACL_READ;
    else if (c == 'w')
      permissions |= ACL_WRITE;
    else if (c == 'x')
      permissions |= ACL_EXECUTE;
    else if (c != '-')
      throw_invalid(line);
  }
  if (word.empty()) throw_invalid(line);
  return permissions;
}

/// "user:name:rw-:1000", "user:1000:rw-", "mask::r--" and "mask:r--".
AclEntry parse_entry(std::string_view line) {
  std::vector<std::string> fields = split(line, ':');
  if (!fields.empty() && (fields[0] == "default" || fields[0] == "d")) fields.erase(fields.begin());
  if (fields.size() == 2) fields.insert(fields.begin() + 1, std::string());
  if (fields.size() < 3 || fields.size() > 4) throw_invalid(line);
  const bool is_named = !fields[1].empty();
  AclEntry entry{.tag = tag_of(fields[0], is_named, line), .permissions = permissions_of(fields[2], line)};
  entry.id = static_cast<std::uint32_t>(ACL_UNDEFINED_ID);
  if (!is_named) return entry;
  const auto id = parse_id(fields.size() == 4 ? fields[3] : fields[1] == "root" ? "0" : fields[1]);
  if (!id)
    throw Error::make(Errc::unsupported, "the access list names '{}', and not by number",
                      printable(std::string_view(fields[1]).substr(0, 100)))
        .with_hint("make the tar with --numeric-owner");
  entry.id = *id;
  return entry;
}

void append_number(std::string& value, std::uint32_t number, std::size_t width) {
  for (std::size_t i = 0; i < width; ++i) value.push_back(static_cast<char>(number >> (8 * i) & 0xffU));
}

}  // namespace

std::string parse_acl_text(std::string_view text) {
  std::vector<AclEntry> entries;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find_first_of(",\n"));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    line = line.substr(0, line.find('#'));  // acl(5): what an entry comes to under the mask
    while (!line.empty() && (line.back() == ' ' || line.back() == '\t')) line.remove_suffix(1);
    while (!line.empty() && (line.front() == ' ' || line.front() == '\t')) line.remove_prefix(1);
    if (!line.empty()) entries.push_back(parse_entry(line));
  }
  if (entries.empty()) return {};
  std::sort(entries.begin(), entries.end(), [](const AclEntry& a, const AclEntry& b) {
    return std::tie(a.tag, a.id) < std::tie(b.tag, b.id);
  });
  std::string value;
  append_number(value, POSIX_ACL_XATTR_VERSION, 4);
  for (const AclEntry& entry : entries) {
    append_number(value, entry.tag, 2);
    append_number(value, entry.permissions, 2);
    append_number(value, entry.id, 4);
  }
  return value;
}

}  // namespace lay::layerstore
