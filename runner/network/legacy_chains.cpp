#include "network/legacy_chains.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <sys/socket.h>

#include <cstddef>
#include <cstring>
#include <optional>
#include <set>
#include <string_view>

#include "base/error.h"
#include "base/syscalls.h"
#include "base/text.h"

namespace lay::runner {

namespace {

constexpr const char* kTables = "/proc/net/ip_tables_names";
constexpr const char* kFilter = "filter";

bool has_filter_table() {
  const auto file = sys::try_open_at(sys::cwd(), kTables, O_RDONLY);
  if (!file) return false;
  for (const std::string& name : split(sys::read_all(*file, 4096), '\n'))
    if (name == kFilter) return true;
  return false;
}

/// The rules of the table as the kernel keeps them: ipt_entry after ipt_entry.
struct LegacyTable {
  std::vector<std::byte> entries;
  std::size_t forward_begin = 0;   ///< offset of the first rule of FORWARD
  std::size_t forward_policy = 0;  ///< and of the entry that is its policy
};

std::optional<LegacyTable> read_filter_table() {
  const UniqueFd socket{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  if (!socket) throw Error::from_errno("open a socket");
  ipt_getinfo info{};
  std::strcpy(info.name, kFilter);
  socklen_t size = sizeof info;
  if (::getsockopt(socket.get(), IPPROTO_IP, IPT_SO_GET_INFO, &info, &size) < 0)
    throw Error::from_errno("ask for the filter table of iptables-legacy");
  constexpr std::size_t kHead = offsetof(ipt_get_entries, entrytable);
  std::vector<std::byte> answer(kHead + info.size);
  ipt_get_entries question{};
  std::strcpy(question.name, kFilter);
  question.size = info.size;
  std::memcpy(answer.data(), &question, kHead);
  size = static_cast<socklen_t>(answer.size());
  // Refused (EAGAIN) when somebody changes the table between the two questions: it is looked at again by the
  // next container
  if (::getsockopt(socket.get(), IPPROTO_IP, IPT_SO_GET_ENTRIES, answer.data(), &size) < 0)
    return std::nullopt;
  answer.erase(answer.begin(), answer.begin() + kHead);
  return LegacyTable{.entries = std::move(answer),
                     .forward_begin = info.hook_entry[NF_INET_FORWARD],
                     .forward_policy = info.underflow[NF_INET_FORWARD]};
}

struct LegacyRule {
  std::size_t next = 0;  ///< offset behind this one; 0 where that makes no sense
  std::string in;        ///< link, empty for any, and for any but one
  std::string out;
  std::optional<int> verdict;  ///< of a standard target: not negative is the offset that it jumps to
  bool is_head = false;        ///< none, but what stands before the chains that the user has made
};

template <std::size_t kSize>
std::string link_of(const char (&name)[kSize]) {
  return {name, ::strnlen(name, kSize)};
}

/// Empty behind the last one.
std::optional<LegacyRule> rule_at(const std::vector<std::byte>& entries, std::size_t offset) {
  ipt_entry entry{};
  if (offset + sizeof entry > entries.size()) return std::nullopt;
  std::memcpy(&entry, entries.data() + offset, sizeof entry);
  LegacyRule rule;
  if (entry.next_offset != 0) rule.next = offset + entry.next_offset;
  if ((entry.ip.invflags & IPT_INV_VIA_IN) == 0) rule.in = link_of(entry.ip.iniface);
  if ((entry.ip.invflags & IPT_INV_VIA_OUT) == 0) rule.out = link_of(entry.ip.outiface);
  xt_standard_target target{};
  const std::size_t begin = offset + entry.target_offset;
  if (begin + sizeof target > entries.size()) return rule;
  std::memcpy(&target, entries.data() + begin, sizeof target);
  const std::string_view name = target.target.u.user.name;
  if (name == XT_STANDARD_TARGET) rule.verdict = target.verdict;
  rule.is_head = name == XT_ERROR_TARGET;
  return rule;
}

/// Those that a forwarded packet may meet: of FORWARD, and of the chains that are reached from there.
std::vector<LegacyRule> forward_rules(const LegacyTable& table) {
  std::vector<LegacyRule> rules;
  std::set<std::size_t> seen;
  std::vector<std::size_t> chains{table.forward_begin};
  while (!chains.empty()) {
    std::size_t offset = chains.back();
    chains.pop_back();
    while (seen.insert(offset).second) {
      const std::optional<LegacyRule> rule = rule_at(table.entries, offset);
      if (!rule || rule->is_head || rule->next == 0) break;
      rules.push_back(*rule);
      if (offset == table.forward_policy) break;
      if (rule->verdict && *rule->verdict >= 0) chains.push_back(static_cast<std::size_t>(*rule->verdict));
      offset = rule->next;
    }
  }
  return rules;
}

/// As the table has verdicts: the others are jumps, by offset.
constexpr int verdict_of(int netfilter) {
  return -netfilter - 1;
}

bool drops_forwarded(const LegacyTable& table, const std::string& bridge) {
  const std::optional<LegacyRule> policy = rule_at(table.entries, table.forward_policy);
  if (!policy || policy->verdict != verdict_of(NF_DROP)) return false;
  bool accepts_in = false;
  bool accepts_out = false;
  for (const LegacyRule& rule : forward_rules(table)) {
    if (rule.verdict != verdict_of(NF_ACCEPT)) continue;
    accepts_in = accepts_in || rule.in == bridge;
    accepts_out = accepts_out || rule.out == bridge;
  }
  return !accepts_in || !accepts_out;
}

}  // namespace

std::vector<std::string> notes_on_legacy_chains(const std::string& bridge) {
  try {
    const std::optional<LegacyTable> table = has_filter_table() ? read_filter_table() : std::nullopt;
    if (!table || !drops_forwarded(*table, bridge)) return {};
  } catch (const Error&) {
    return {};  // unloaded in between, or not for us to read: a mere note keeps no container from starting
  }
  return {
      fmt::format("chain 'FORWARD' of iptables-legacy drops what it does not know: containers reach this "
                  "machine only, and other machines do not reach published ports; allow it: "
                  "iptables-legacy -I FORWARD -i {0} -j ACCEPT; iptables-legacy -I FORWARD -o {0} -j ACCEPT",
                  bridge)};
}

}  // namespace lay::runner
