#include "network/peer_names.h"

#include <fcntl.h>

#include <algorithm>

#include "base/error.h"
#include "base/syscalls.h"
#include "base/text.h"

namespace lay::runner {

namespace {

constexpr std::string_view kBegin = "# lay: who is on network ";
constexpr std::string_view kEnd = "# lay: end\n";
/// More than thousands of containers need; a container that makes its file larger is not told any more.
constexpr std::size_t kMaxHosts = 1024 * 1024;

/// `change` gives the new text for the present one.
template <class Change>
void rewrite(const std::string& folder, Change&& change) {
  const std::optional<UniqueFd> file =
      sys::try_open_at(sys::cwd(), folder + "/hosts", O_RDWR | O_NOFOLLOW | O_NONBLOCK);
  if (!file) return;  // --no-hosts, or not written yet: its own start tells it
  const std::string before = sys::read_all(*file, kMaxHosts);
  const std::string after = change(before);
  if (after == before) return;
  // One write, then the cut: who reads meanwhile sees old or new lines, never an empty file
  const std::span<const std::byte> bytes = std::as_bytes(std::span(after));
  for (std::size_t done = 0; done < bytes.size();) done += sys::pwrite_some(*file, bytes.subspan(done), done);
  sys::ftruncate(*file, after.size());
}

}  // namespace

std::string with_peers(std::string_view hosts, std::string_view network, std::span<const Peer> peers) {
  std::string text(hosts);
  std::string section = fmt::format("{}{}\n", kBegin, network);
  const std::size_t begin = text.find(section);
  if (begin != std::string::npos)
    if (const std::size_t end = text.find(kEnd, begin); end != std::string::npos)
      text.erase(begin, end + kEnd.size() - begin);
  if (peers.empty()) return text;
  for (const Peer& peer : peers) section += peer.address + "\t" + join(peer.names, " ") + "\n";
  section += kEnd;
  if (begin != std::string::npos && begin <= text.size()) return text.insert(begin, section);
  if (!text.empty() && text.back() != '\n') text += '\n';
  return text + section;
}

std::string with_own_address(std::string_view hosts, const OwnAddress& own) {
  std::vector<std::string> lines = split(hosts, '\n');
  const std::string begin = own.before + '\t' + own.name;
  const auto is_own = [&](const std::string& line) {  // perhaps with more names behind it
    return line.starts_with(begin) &&
           (line.size() == begin.size() || line[begin.size()] == ' ' || line[begin.size()] == '\t');
  };
  for (std::string& line : lines)
    if (is_own(line)) line.replace(0, own.before.size(), own.after);
  return join(lines, "\n");
}

void forget_peer_names(const LeaseBook& leases, const std::string& folder) {
  const FileLock lock = leases.lock_hosts();
  rewrite(folder, [&](const std::string& text) { return with_peers(text, leases.name(), {}); });
}

void tell_own_address(const LeaseBook& leases, const std::string& folder, const OwnAddress& own) {
  const FileLock lock = leases.lock_hosts();
  rewrite(folder, [&](const std::string& text) { return with_own_address(text, own); });
}

std::vector<std::string> tell_peer_names(const LeaseBook& leases) {
  auto held = leases.held();
  std::sort(held.begin(), held.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<Peer> peers;
  for (const auto& [address, record] : held) {
    if (record.names.empty()) continue;
    peers.push_back({to_string(address), record.names});
    if (!record.address6.empty()) peers.push_back({record.address6, record.names});
  }
  if (peers.empty()) return {};
  std::vector<std::string> notes;
  const FileLock lock = leases.lock_hosts();
  for (const auto& [address, record] : held) {
    if (record.folder.empty()) continue;
    try {
      rewrite(record.folder, [&](const std::string& text) { return with_peers(text, leases.name(), peers); });
    } catch (const Error& error) {
      // One that made its file unreadable, or a full disk
      notes.push_back(fmt::format("the hosts file of container '{}' does not tell who is on its network: {}",
                                  record.names.empty() ? record.container : record.names.front(),
                                  printable(error.message())));
    }
  }
  return notes;
}

}  // namespace lay::runner
