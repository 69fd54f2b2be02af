#include "network/netlink.h"

#include <libmnl/libmnl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <utility>

#include "base/syscalls.h"

namespace lay::runner {

namespace {

/// One datagram of a dump is at most this long (NLMSG_GOODSIZE is 8192; newer kernels fill up to 32 KiB).
constexpr std::size_t kReceiveBytes = 65536;

void set_option(const UniqueFd& fd, int option) {
  const int one = 1;
  // Both only improve error messages; a kernel without them is fine
  static_cast<void>(::setsockopt(fd.get(), SOL_NETLINK, option, &one, sizeof one));
}

void send_all(const UniqueFd& fd, const std::vector<char>& bytes) {
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_name = &kernel;
  message.msg_namelen = sizeof kernel;
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (sys::retry_eintr([&] { return ::sendmsg(fd.get(), &message, 0); }) < 0)
    throw Error::from_errno("send {} bytes to netlink", bytes.size());
}

/// All messages in a row, numbered from 1. A failure is always answered; that all is well only where
/// NLM_F_ACK asks for it: on the last message, unless the caller asked already (the end mark of an nftables
/// batch must not).
std::vector<char> join_messages(std::span<const NetlinkMessage> batch) {
  std::vector<char> bytes;
  nlmsghdr* last = nullptr;
  bool asked = false;
  std::size_t size = 0;
  for (const NetlinkMessage& message : batch) size += NLMSG_ALIGN(message.header()->nlmsg_len);
  bytes.reserve(size);
  for (std::size_t i = 0; i < batch.size(); ++i) {
    const char* begin = reinterpret_cast<const char*>(batch[i].header());
    last = reinterpret_cast<nlmsghdr*>(bytes.data() + bytes.size());
    bytes.insert(bytes.end(), begin, begin + NLMSG_ALIGN(batch[i].header()->nlmsg_len));
    last->nlmsg_seq = static_cast<std::uint32_t>(i + 1);
    asked = asked || (last->nlmsg_flags & NLM_F_ACK) != 0;
  }
  if (!asked) last->nlmsg_flags |= NLM_F_ACK;
  return bytes;
}

/// The kernel's words behind an error message (NLMSGERR_ATTR_MSG).
std::string extended_text(const nlmsghdr& message) {
  if ((message.nlmsg_flags & NLM_F_ACK_TLVS) == 0) return {};
  const auto* error = static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(&message));
  std::size_t fixed = sizeof *error;
  if ((message.nlmsg_flags & NLM_F_CAPPED) == 0) fixed += mnl_nlmsg_get_payload_len(&error->msg);
  const auto text = find_attribute(message, fixed, NLMSGERR_ATTR_MSG);
  if (!text) return {};
  const auto* begin = reinterpret_cast<const char*>(text->data());
  return std::string(begin, ::strnlen(begin, text->size()));
}

/// Netfilter sockets that nobody uses at the moment, for they are not closed.
class Parking {
 public:
  Parking() = default;
  Parking(const Parking&) = delete;
  Parking& operator=(const Parking&) = delete;
  ~Parking() {
    if (process_ != ::getpid()) leave_parents();
  }

  static Parking& lot() {
    static Parking parking;
    return parking;
  }
  /// One of this thread's network namespace; empty when there is none.
  UniqueFd take() {
    const std::lock_guard guard(mutex_);
    if (process_ != ::getpid()) leave_parents();
    const ino_t here = namespace_here();
    const auto found =
        std::find_if(parked_.begin(), parked_.end(), [&](const Parked& each) { return each.space == here; });
    if (found == parked_.end()) return {};
    UniqueFd fd = std::move(found->fd);
    parked_.erase(found);
    std::array<char, 4096> unread;  // what a failure left there
    while (::recv(fd.get(), unread.data(), unread.size(), MSG_DONTWAIT) > 0) {
    }
    return fd;
  }
  void put(UniqueFd fd) {
    const std::lock_guard guard(mutex_);
    if (process_ != ::getpid()) leave_parents();
    parked_.push_back({.space = namespace_here(), .fd = std::move(fd)});
  }

 private:
  struct Parked {
    ino_t space;
    UniqueFd fd;
  };
  /// After fork(2): they are the parent's, and the numbers may be others' by now.
  void leave_parents() {
    for (Parked& each : parked_) each.fd.release();
    parked_.clear();
    process_ = ::getpid();
  }
  static ino_t namespace_here() {
    struct ::stat status {};
    return ::stat("/proc/thread-self/ns/net", &status) == 0 ? status.st_ino : 0;
  }

  std::mutex mutex_;
  pid_t process_ = ::getpid();
  std::vector<Parked> parked_;
};

}  // namespace

NetlinkMessage::NetlinkMessage(std::string what, std::uint16_t type, std::uint16_t flags)
    : what_(std::move(what)), buffer_(kCapacity) {
  nlmsghdr* header = mnl_nlmsg_put_header(buffer_.data());
  header->nlmsg_type = type;
  header->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
}

nlmsghdr* NetlinkMessage::header() {
  return reinterpret_cast<nlmsghdr*>(buffer_.data());
}
const nlmsghdr* NetlinkMessage::header() const {
  return reinterpret_cast<const nlmsghdr*>(buffer_.data());
}

void NetlinkMessage::check_room(std::size_t payload) const {
  if (header()->nlmsg_len + sizeof(nlattr) + payload + MNL_ALIGNTO > kCapacity)
    throw Error::make(Errc::invalid, "{}: netlink message is longer than {} bytes", what_, kCapacity);
}

void* NetlinkMessage::append_fixed(std::size_t size) {
  check_room(size);
  return mnl_nlmsg_put_extra_header(header(), size);
}

void NetlinkMessage::put(std::uint16_t type, std::span<const std::uint8_t> bytes) {
  check_room(bytes.size());
  mnl_attr_put(header(), type, bytes.size(), bytes.data());
}

void NetlinkMessage::put_u32(std::uint16_t type, std::uint32_t value) {
  check_room(sizeof value);
  mnl_attr_put_u32(header(), type, value);
}

void NetlinkMessage::put_u8(std::uint16_t type, std::uint8_t value) {
  check_room(sizeof value);
  mnl_attr_put_u8(header(), type, value);
}

void NetlinkMessage::put_text(std::uint16_t type, const std::string& text) {
  check_room(text.size() + 1);
  mnl_attr_put_strz(header(), type, text.c_str());
}

void NetlinkMessage::nest(std::uint16_t type, const std::function<void()>& fill) {
  check_room(0);
  nlattr* start = mnl_attr_nest_start(header(), type);
  fill();
  mnl_attr_nest_end(header(), start);
}

Error NetlinkFailure::error(std::string_view what) const {
  return Error::from_number(
      error_number, kernel_text.empty() ? std::string(what) : fmt::format("{}: {}", what, kernel_text));
}

NetlinkSocket NetlinkSocket::open(int bus) {
  if (bus == NETLINK_NETFILTER)
    if (UniqueFd fd = Parking::lot().take()) return {std::move(fd), bus};
  UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, bus));
  if (!fd) throw Error::from_errno("open a netlink socket (family {})", bus);
  set_option(fd, NETLINK_EXT_ACK);
  set_option(fd, NETLINK_CAP_ACK);
  return {std::move(fd), bus};
}

// Not filled with zeros: of the room for the longest dump mostly one page is ever touched
NetlinkSocket::NetlinkSocket(UniqueFd fd, int bus)
    : fd_(std::move(fd)), bus_(bus), buffer_(std::make_unique_for_overwrite<char[]>(kReceiveBytes)) {}

NetlinkSocket::~NetlinkSocket() {
  if (fd_ && bus_ == NETLINK_NETFILTER) Parking::lot().put(std::move(fd_));
}

std::span<const char> NetlinkSocket::receive(int flags) {
  const ssize_t count =
      sys::retry_eintr([&] { return ::recv(fd_.get(), buffer_.get(), kReceiveBytes, flags); });
  if (count < 0 && errno != EAGAIN) throw Error::from_errno("receive from netlink");
  return {buffer_.get(), count < 0 ? 0 : static_cast<std::size_t>(count)};
}

void NetlinkSocket::run(std::span<const NetlinkMessage> batch) {
  if (const std::optional<NetlinkFailure> failure = try_run(batch))
    throw failure->error(batch[failure->index].what());
}

std::optional<NetlinkFailure> NetlinkSocket::try_run(std::span<const NetlinkMessage> batch) {
  send_all(fd_, join_messages(batch));
  std::optional<NetlinkFailure> first;
  bool answered = false;
  // The kernel has worked through the batch when sendmsg returns: every answer is in the queue already
  for (std::span<const char> bytes = receive(MSG_DONTWAIT); !bytes.empty(); bytes = receive(MSG_DONTWAIT)) {
    int left = static_cast<int>(bytes.size());
    for (const auto* message = reinterpret_cast<const nlmsghdr*>(bytes.data()); mnl_nlmsg_ok(message, left);
         message = mnl_nlmsg_next(message, &left)) {
      if (message->nlmsg_type != NLMSG_ERROR) continue;
      answered = true;
      const auto* error = static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(message));
      const std::size_t index = message->nlmsg_seq - 1;
      if (error->error == 0 || index >= batch.size() || (first && first->index <= index)) continue;
      first = NetlinkFailure{index, -error->error, extended_text(*message)};
    }
  }
  if (!answered) return NetlinkFailure{0, EIO, "the kernel did not answer"};
  return first;
}

bool NetlinkSocket::query(const NetlinkMessage& question, const std::function<void(const nlmsghdr&)>& take) {
  send_all(fd_, join_messages({&question, 1}));
  for (;;) {
    const std::span<const char> bytes = receive(0);
    int left = static_cast<int>(bytes.size());
    for (const auto* message = reinterpret_cast<const nlmsghdr*>(bytes.data()); mnl_nlmsg_ok(message, left);
         message = mnl_nlmsg_next(message, &left)) {
      if (message->nlmsg_type == NLMSG_DONE) return true;
      if (message->nlmsg_type != NLMSG_ERROR) {
        take(*message);
        continue;
      }
      const int number = -static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(message))->error;
      if (number == 0) return true;
      if (number == ENOENT || number == ENODEV) return false;
      throw NetlinkFailure{0, number, extended_text(*message)}.error(question.what());
    }
  }
}

std::optional<std::span<const std::uint8_t>> find_nested(std::span<const std::uint8_t> attributes,
                                                         std::uint16_t type) {
  std::optional<std::span<const std::uint8_t>> found;
  const auto* begin = reinterpret_cast<const nlattr*>(attributes.data());
  const auto* end = attributes.data() + attributes.size();
  for (const nlattr* attribute = begin;
       mnl_attr_ok(attribute, static_cast<int>(end - reinterpret_cast<const std::uint8_t*>(attribute)));
       attribute = mnl_attr_next(attribute))
    if (mnl_attr_get_type(attribute) == type)
      found = {static_cast<const std::uint8_t*>(mnl_attr_get_payload(attribute)),
               mnl_attr_get_payload_len(attribute)};
  return found;
}

std::optional<std::span<const std::uint8_t>> find_attribute(const nlmsghdr& message, std::size_t fixed_size,
                                                            std::uint16_t type) {
  const std::size_t start = NLMSG_ALIGN(fixed_size);
  const std::size_t length = mnl_nlmsg_get_payload_len(&message);
  if (length < start) return std::nullopt;
  const auto* payload = static_cast<const std::uint8_t*>(mnl_nlmsg_get_payload(&message));
  return find_nested({payload + start, length - start}, type);
}

}  // namespace lay::runner
