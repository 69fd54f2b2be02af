#include "cgroup/device_rules.h"

#include <algorithm>
#include <string_view>

#include "base/error.h"
#include "base/text.h"

namespace lay::runner {

namespace {

constexpr std::int64_t kEvery = -1;                 // as docker writes "*"
constexpr std::int64_t kMostMajor = (1 << 12) - 1;  // linux/kdev_t.h
constexpr std::int64_t kMostMinor = (1 << 20) - 1;

bool is_number(const std::optional<std::int64_t>& number, std::int64_t most) {
  return !number || (*number >= 0 && *number <= most);
}

bool has_letter(const DeviceRule& rule, char letter) {
  return rule.access.find(letter) != std::string::npos;
}

void check_rule(const DeviceRule& rule) {
  if (rule.type != "a" && rule.type != "b" && rule.type != "c")
    throw Error::make(Errc::invalid, "device rule has the unknown type '{}'", printable(rule.type));
  if (rule.access.empty() || rule.access.find_first_not_of("rwm") != std::string::npos)
    throw Error::make(Errc::invalid, "device rule has the access '{}', expected letters of rwm",
                      printable(rule.access));
  if (!is_number(rule.major, kMostMajor) || !is_number(rule.minor, kMostMinor))
    throw Error::make(Errc::invalid, "device rule has the number {}:{}, which no device has",
                      rule.major.value_or(-1), rule.minor.value_or(-1));
}

bool is_about_everything(const DeviceRule& rule) {
  const bool has_all = has_letter(rule, 'r') && has_letter(rule, 'w') && has_letter(rule, 'm');
  return rule.type == "a" && !rule.major && !rule.minor && has_all;
}

/// Whether the rule changes nothing any more: the same one was the last word on its devices.
bool is_said(const std::vector<DeviceRule>& before, const DeviceRule& rule) {
  for (auto said = before.rbegin(); said != before.rend() && said->allow == rule.allow; ++said)
    if (*said == rule) return true;
  return false;
}

}  // namespace

std::vector<DeviceRule> normal_device_rules(const std::vector<DeviceRule>& rules) {
  std::vector<DeviceRule> normal;
  for (DeviceRule rule : rules) {
    if (rule.major == kEvery) rule.major.reset();
    if (rule.minor == kEvery) rule.minor.reset();
    check_rule(rule);
    if (is_said(normal, rule)) continue;
    if (normal.empty() && !is_about_everything(rule)) normal.push_back({.allow = false});
    for (const char* type : {"b", "c"}) {
      if (rule.type != "a" || is_about_everything(rule)) break;
      normal.push_back(rule);
      normal.back().type = type;
    }
    if (rule.type != "a" || is_about_everything(rule)) normal.push_back(rule);
  }
  return normal;
}

}  // namespace lay::runner
