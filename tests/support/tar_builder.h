#pragma once

#include <array>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

namespace lay::test {

/// One member of a tar as a test wants it, right or wrong; made without the library's own writer.
struct TarMember {
  std::string name;
  char type = '0';
  std::string data = {};
  std::string link = {};
  unsigned mode = 0644;
  long long mtime = 1000000000;
  unsigned major = 0;
  unsigned minor = 0;
  std::optional<unsigned long long> size = {};  ///< when the header shall lie about `data`
  std::string uid = "0000000";                  ///< the field's bytes
  std::string magic = std::string("ustar\00000", 8);
};

inline std::string padded(std::string text) {
  text.resize((text.size() + 511) / 512 * 512);
  return text;
}

inline std::string octal(unsigned long long value, int digits) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%0*llo", digits, value);
  return text.data();
}

inline void seal_header(std::string& header) {
  header.replace(148, 8, "        ");
  unsigned sum = 0;
  for (const char c : header) sum += static_cast<unsigned char>(c);
  header.replace(148, 7, octal(sum, 6) + std::string(1, '\0'));
}

inline std::string tar_header(const TarMember& member) {
  std::string header(512, '\0');
  const auto put = [&](std::size_t at, const std::string& text) { header.replace(at, text.size(), text); };
  put(0, member.name.substr(0, 100));
  put(100, octal(member.mode, 7));
  put(108, member.uid);
  put(116, "0000000");
  put(124, octal(member.size.value_or(member.data.size()), 11));
  put(136, octal(static_cast<unsigned long long>(member.mtime), 11));
  header[156] = member.type;
  put(157, member.link.substr(0, 100));
  put(257, member.magic);
  put(329, octal(member.major, 7));
  put(337, octal(member.minor, 7));
  seal_header(header);
  return header;
}

inline std::string tar_member(const TarMember& member) {
  return tar_header(member) + padded(member.data);
}

inline std::string tar_file(const std::string& name, const std::string& data = "x") {
  return tar_member({.name = name, .data = data});
}
inline std::string tar_folder(const std::string& name, unsigned mode = 0755) {
  return tar_member({.name = name, .type = '5', .mode = mode});
}
inline std::string tar_symlink(const std::string& name, const std::string& target) {
  return tar_member({.name = name, .type = '2', .link = target});
}
inline std::string tar_hard_link(const std::string& name, const std::string& target) {
  return tar_member({.name = name, .type = '1', .link = target});
}

inline std::string pax_record(const std::string& key, const std::string& value) {
  const std::string body = " " + key + "=" + value + "\n";
  std::size_t length = body.size() + 1;
  while (std::to_string(length).size() + body.size() != length) ++length;
  return std::to_string(length) + body;
}
/// An extended header ('x', or 'g' for all that follow) for the member after it.
inline std::string tar_pax(const std::string& records, char type = 'x') {
  return tar_member({.name = "PaxHeader", .type = type, .data = records});
}
/// GNU's 'L' (name) or 'K' (link) before the member it belongs to.
inline std::string tar_gnu_long(char type, const std::string& text) {
  return tar_member(
      {.name = "././@LongLink", .type = type, .data = text, .magic = std::string("ustar  \0", 8)});
}

inline std::string tar_end_mark() {
  return std::string(1024, '\0');
}

}  // namespace lay::test
