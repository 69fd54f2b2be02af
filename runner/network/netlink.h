#pragma once

#include <linux/netlink.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/unique_fd.h"

namespace lay::runner {

/// One request to the kernel: header, fixed part, attributes (netlink(7)). `what` names it in errors.
class NetlinkMessage {
 public:
  /// `flags` besides NLM_F_REQUEST.
  NetlinkMessage(std::string what, std::uint16_t type, std::uint16_t flags);

  /// Appends the fixed part that follows the header, zeroed; valid until the next call on this message.
  template <class T>
  T& fixed() {
    return *static_cast<T*>(append_fixed(sizeof(T)));
  }
  void put(std::uint16_t type, std::span<const std::uint8_t> bytes);
  void put_u32(std::uint16_t type, std::uint32_t value);
  void put_u8(std::uint16_t type, std::uint8_t value);
  void put_text(std::uint16_t type, const std::string& text);
  /// Runs `fill` with the attributes it adds nested in one of `type`.
  void nest(std::uint16_t type, const std::function<void()>& fill);

  /// For builders that write into the message themselves (libnftnl). No bound is checked: kCapacity holds the
  /// largest message lay makes (a rule, below 1 KiB).
  nlmsghdr* header();
  const nlmsghdr* header() const;
  const std::string& what() const { return what_; }

  static constexpr std::size_t kCapacity = 2048;

 private:
  void* append_fixed(std::size_t size);
  void check_room(std::size_t payload) const;

  std::string what_;
  std::vector<char> buffer_;
};

/// Why one message of a batch failed.
struct NetlinkFailure {
  std::size_t index = 0;  ///< position of the message within the batch
  int error_number = 0;
  std::string kernel_text;  ///< the kernel's own words, often empty

  /// "what: kernel's words: strerror".
  Error error(std::string_view what) const;
};

/// A netlink socket. It belongs to the network namespace of the thread that opened it, also when it is used
/// from another one. One of netfilter stays open until the process ends: closing it waits for the grace
/// period of what anybody has deleted from a table just now (up to 25 ms), and keeps all others from changing
/// tables meanwhile (nft_rcv_nl_event() of the kernel).
class NetlinkSocket {
 public:
  NetlinkSocket(NetlinkSocket&&) noexcept = default;
  NetlinkSocket& operator=(NetlinkSocket&&) = delete;
  ~NetlinkSocket();

  /// `bus` is NETLINK_ROUTE or NETLINK_NETFILTER.
  static NetlinkSocket open(int bus);

  /// Sends all messages in one system call; the kernel works through them in order before it returns. Throws
  /// the first failure.
  void run(std::span<const NetlinkMessage> batch);
  /// As run, but gives the first failure back.
  std::optional<NetlinkFailure> try_run(std::span<const NetlinkMessage> batch);
  /// Sends one question and calls `take` for each message of the answer. False when what was asked for is not
  /// there (ENOENT, ENODEV).
  bool query(const NetlinkMessage& question, const std::function<void(const nlmsghdr&)>& take);

 private:
  NetlinkSocket(UniqueFd fd, int bus);
  /// One datagram, valid until the next call; empty when there is none (MSG_DONTWAIT).
  std::span<const char> receive(int flags);
  UniqueFd fd_;
  int bus_;
  std::unique_ptr<char[]> buffer_;
};

/// The fixed part of an answer, right behind its header.
template <class T>
const T& fixed_part(const nlmsghdr& message) {
  return *reinterpret_cast<const T*>(&message + 1);
}

/// The payload of the attribute `type` among `attributes` in a row; empty when absent.
std::optional<std::span<const std::uint8_t>> find_nested(std::span<const std::uint8_t> attributes,
                                                         std::uint16_t type);
/// The payload of the attribute `type` among those behind a fixed part of
/// `fixed_size` bytes; empty when absent.
std::optional<std::span<const std::uint8_t>> find_attribute(const nlmsghdr& message, std::size_t fixed_size,
                                                            std::uint16_t type);

}  // namespace lay::runner
