#include "network/legacy_chains.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <sys/socket.h>

#include <cstddef>
#include <cstring>
#include <optional>
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
  std::size_t forward_policy = 0;  ///< offset of the entry that is the policy of FORWARD
};

std::optional<LegacyTable> read_filter_table() {
  const UniqueFd socket{::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW)};
  if (!socket) throw Error::from_errno("open a raw socket");
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
  return LegacyTable{.entries = std::move(answer), .forward_policy = info.underflow[NF_INET_FORWARD]};
}

struct LegacyRule {
  std::size_t next = 0;  ///< offset behind this one; 0 where that makes no sense
  std::string in;        ///< link, empty for any
  std::string out;
  std::optional<int> verdict;  ///< of a standard target
};

/// Empty behind the last one.
std::optional<LegacyRule> rule_at(const std::vector<std::byte>& entries, std::size_t offset) {
  ipt_entry entry{};
  if (offset + sizeof entry > entries.size()) return std::nullopt;
  std::memcpy(&entry, entries.data() + offset, sizeof entry);
  LegacyRule rule{.next = entry.next_offset == 0 ? 0 : offset + entry.next_offset,
                  .in = {entry.ip.iniface, ::strnlen(entry.ip.iniface, IFNAMSIZ)},
                  .out = {entry.ip.outiface, ::strnlen(entry.ip.outiface, IFNAMSIZ)},
                  .verdict = {}};
  xt_standard_target target{};
  const std::size_t begin = offset + entry.target_offset;
  if (begin + sizeof target > entries.size()) return rule;
  std::memcpy(&target, entries.data() + begin, sizeof target);
  if (target.target.u.user.name[0] == '\0') rule.verdict = target.verdict;  // XT_STANDARD_TARGET
  return rule;
}

/// As the table has verdicts: the others are jumps, by offset.
constexpr int verdict_of(int netfilter) {
  return -netfilter - 1;
}

}  // namespace

std::vector<std::string> notes_on_legacy_chains(const std::string& bridge) {
  if (!has_filter_table()) return {};
  const std::optional<LegacyTable> table = read_filter_table();
  if (!table) return {};
  const std::optional<LegacyRule> policy = rule_at(table->entries, table->forward_policy);
  if (!policy || policy->verdict != verdict_of(NF_DROP)) return {};
  bool accepts_in = false;
  bool accepts_out = false;
  for (auto rule = rule_at(table->entries, 0); rule;
       rule = rule->next == 0 ? std::nullopt : rule_at(table->entries, rule->next)) {
    if (rule->verdict != verdict_of(NF_ACCEPT)) continue;
    accepts_in = accepts_in || rule->in == bridge;
    accepts_out = accepts_out || rule->out == bridge;
  }
  if (accepts_in && accepts_out) return {};
  return {
      fmt::format("chain 'FORWARD' of iptables-legacy drops what it does not know: containers reach this "
                  "machine only, and other machines do not reach published ports; allow it: "
                  "iptables-legacy -I FORWARD -i {0} -j ACCEPT; iptables-legacy -I FORWARD -o {0} -j ACCEPT",
                  bridge)};
}

}  // namespace lay::runner
