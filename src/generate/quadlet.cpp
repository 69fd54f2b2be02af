#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <string_view>

#include "generate/recipe.h"

namespace lay::cli {

namespace {

enum class Value {
  plain,  ///< taken as it stands
  words,  ///< unquoted and split by quadlet
};

struct Key {
  const char* name;
  Value value;
};

/// podman-systemd.unit(5).
const std::map<std::string_view, Key>& keys() {
  static const std::map<std::string_view, Key> kKeys{
      {"env", {"Environment", Value::words}},
      {"label", {"Label", Value::words}},
      {"annotation", {"Annotation", Value::words}},
      {"sysctl", {"Sysctl", Value::words}},
      {"cap-add", {"AddCapability", Value::words}},
      {"cap-drop", {"DropCapability", Value::words}},
      {"workdir", {"WorkingDir", Value::plain}},
      {"hostname", {"HostName", Value::plain}},
      {"network", {"Network", Value::plain}},
      {"publish", {"PublishPort", Value::plain}},
      {"dns", {"DNS", Value::plain}},
      {"dns-search", {"DNSSearch", Value::plain}},
      {"dns-option", {"DNSOption", Value::plain}},
      {"volume", {"Volume", Value::plain}},
      {"tmpfs", {"Tmpfs", Value::plain}},
      {"shm-size", {"ShmSize", Value::plain}},
      {"device", {"AddDevice", Value::plain}},
      {"ulimit", {"Ulimit", Value::plain}},
      {"pids-limit", {"PidsLimit", Value::plain}},
      {"log-driver", {"LogDriver", Value::plain}},
      {"read-only", {"ReadOnly", Value::plain}},
      {"init", {"RunInit", Value::plain}},
      {"userns", {"UserNS", Value::plain}},
  };
  return kKeys;
}

/// Flags that podman does not have, or whose values it would read otherwise.
bool is_unknown(const Setting& setting) {
  static const std::set<std::string_view> kUnknown{"landlock",
                                                   "time",
                                                   "runtime",
                                                   "runtime-flag",
                                                   "hugepages",
                                                   "seccomp-profile",
                                                   "device-read-bps",
                                                   "device-write-bps",
                                                   "device-read-iops",
                                                   "device-write-iops",
                                                   "blkio-weight-device"};
  return kUnknown.contains(setting.flag) || (setting.flag == "volume" && setting.value.ends_with("idmap")) ||
         (setting.value.starts_with("container:") && setting.flag != "label" && setting.flag != "env");
}

bool is_safe(const std::string& text) {
  constexpr std::string_view kSafe =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@+=:,./-";
  return !text.empty() && text.find_first_not_of(kSafe) == std::string::npos;
}

/// One word as systemd.service(5) reads it: quotes, C escapes, "%%" and "$$" for what would be replaced.
std::string quoted_word(const std::string& text) {
  if (is_safe(text)) return text;
  std::string result = "\"";
  for (const char letter : text) {
    const auto byte = static_cast<unsigned char>(letter);
    if (letter == '"' || letter == '\\')
      (result += '\\') += letter;
    else if (letter == '%' || letter == '$')
      (result += letter) += letter;
    else if (letter == '\n')
      result += "\\n";
    else if (letter == '\t')
      result += "\\t";
    else if (byte < 0x20 || byte >= 0x7f)
      result += fmt::format("\\x{:02x}", byte);
    else
      result += letter;
  }
  return result + "\"";
}

std::string quoted_words(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) (text += text.empty() ? "" : " ") += quoted_word(word);
  return text;
}

/// podman's tmpfs begins with what the image has there, lay's when it is told so.
Setting as_podmans(Setting setting) {
  if (setting.flag == "tmpfs" && setting.value.find("tmpcopyup") == std::string::npos)
    setting.value += setting.value.find(':') == std::string::npos ? ":notmpcopyup" : ",notmpcopyup";
  return setting;
}

std::string as_line(const Setting& setting) {
  const auto found = keys().find(setting.flag);
  if (found != keys().end()) {
    const auto& [name, kind] = found->second;
    if (setting.value.empty()) return fmt::format("{}=true", name);
    if (kind == Value::words) return fmt::format("{}={}", name, quoted_word(setting.value));
    if (is_safe(setting.value)) return fmt::format("{}={}", name, setting.value);
  }
  return "PodmanArgs=" + quoted_word(as_flag(setting));
}

/// A list of words as podman's --entrypoint takes it.
std::string json_list(const std::vector<std::string>& words) {
  return Json(words).dump(-1, ' ', true, Json::error_handler_t::replace);
}

/// Text in a comment: one line, whatever it is.
std::string comment(const std::string& flag) {
  std::string text = "# not expressed: " + flag;
  std::replace_if(
      text.begin() + 1, text.end(), [](char letter) { return static_cast<unsigned char>(letter) < 0x20; },
      ' ');
  return text + "\n";
}

}  // namespace

Generated generate_quadlet(const Recipe& recipe) {
  Generated result;
  std::string lines = "[Container]\nImage=" + recipe.image + "\nContainerName=" + recipe.name + "\n";
  if (recipe.entrypoint)
    lines += "PodmanArgs=" + quoted_word("--entrypoint=" + json_list(*recipe.entrypoint)) + "\n";
  if (!recipe.command.empty()) lines += "Exec=" + quoted_words(recipe.command) + "\n";
  std::string head =
      "# " + recipe.name + ".container, for /etc/containers/systemd/; see podman-systemd.unit(5)\n";
  for (const Setting& setting : recipe.settings) {
    if (is_unknown(setting)) {
      result.left_out.push_back(as_flag(setting));
      head += comment(as_flag(setting));
    } else {
      lines += as_line(as_podmans(setting)) + "\n";
    }
  }
  result.text = head + "\n[Unit]\nDescription=Container " + recipe.name + "\n\n" + lines +
                "\n[Install]\nWantedBy=default.target\n";
  return result;
}

}  // namespace lay::cli
