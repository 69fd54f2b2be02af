#include "auth/credential_helper.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <thread>
#include <utility>

#include "base/cancel.h"
#include "base/error.h"
#include "base/json.h"
#include "base/pipe.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "base/unique_fd.h"

namespace lay::registry {

namespace {

constexpr std::size_t kMaxAnswer = 1024 * 1024;
constexpr std::string_view kNothing = "credentials not found";  // how every helper says so

bool is_helper_name(const std::string& name) {
  return !name.empty() && name.front() != '.' && name.front() != '-' &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
             std::string::npos;
}

using Deadline = std::chrono::steady_clock::time_point;
constexpr int kStep = 20;  // milliseconds between two looks

void throw_if_late(Deadline end) {
  throw_if_cancelled();
  if (std::chrono::steady_clock::now() > end)
    throw Error::make(Errc::unavailable, "no answer within {} s", kHelperSeconds);
}

/// Has a program begin with what lay ignores for itself as every program expects it.
class SpawnAttributes {
 public:
  SpawnAttributes() {
    ::posix_spawnattr_init(&attributes_);
    sigset_t set;
    ::sigemptyset(&set);
    for (const int signal : {SIGPIPE, SIGXFSZ}) ::sigaddset(&set, signal);
    ::posix_spawnattr_setsigdefault(&attributes_, &set);
    ::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGDEF);
  }
  SpawnAttributes(const SpawnAttributes&) = delete;
  SpawnAttributes& operator=(const SpawnAttributes&) = delete;
  ~SpawnAttributes() { ::posix_spawnattr_destroy(&attributes_); }
  const posix_spawnattr_t* get() const { return &attributes_; }

 private:
  posix_spawnattr_t attributes_;
};

/// A child that is killed and reaped when it is not waited for.
class Child {
 public:
  Child(const std::string& program, const std::string& verb, const UniqueFd& in, const UniqueFd& out) {
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, in.get(), 0);
    ::posix_spawn_file_actions_adddup2(&actions, out.get(), 1);
    std::string name = program;
    std::string argument = verb;
    const std::array<char*, 3> arguments{name.data(), argument.data(), nullptr};
    const SpawnAttributes attributes;
    const int failure =
        ::posix_spawnp(&pid_, name.c_str(), &actions, attributes.get(), arguments.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    if (failure != 0) {
      pid_ = -1;
      throw Error::from_number(failure, "start it");
    }
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (pid_ < 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  /// Its exit status; throws when it has none by `end`, and is killed then.
  int wait(Deadline end) {
    int status = 0;
    for (;;) {
      const pid_t ended = sys::retry_eintr([&] { return ::waitpid(pid_, &status, WNOHANG); });
      if (ended == pid_) break;
      throw_if_late(end);
      ::poll(nullptr, 0, kStep);
    }
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
  }

 private:
  pid_t pid_ = -1;
};

/// In this thread a reader that has gone is an error, not the end of the process.
void block_sigpipe() {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGPIPE);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

/// All of `out`, while `input` goes to `in`; throws at the deadline.
std::string converse(UniqueFd in, const UniqueFd& out, std::string_view input, Deadline end) {
  const std::jthread writer([&] {  // a helper that reads nothing must not hold us up
    block_sigpipe();
    while (!input.empty()) {
      const ssize_t count = ::write(in.get(), input.data(), input.size());
      if (count <= 0) break;
      input.remove_prefix(static_cast<std::size_t>(count));
    }
    in.reset();
  });
  std::string answer;
  std::array<std::byte, 4096> buffer;
  for (;;) {
    throw_if_late(end);
    pollfd ready{.fd = out.get(), .events = POLLIN, .revents = 0};
    if (::poll(&ready, 1, 100) <= 0) continue;
    const std::size_t count = sys::read_some(out, buffer);
    if (count == 0) return answer;
    answer.append(reinterpret_cast<const char*>(buffer.data()), count);
    if (answer.size() > kMaxAnswer) throw Error(Errc::unavailable, "its answer is too long");
  }
}

}  // namespace

std::string helper_server(const std::string& domain) {
  return domain == "docker.io" ? "https://index.docker.io/v1/" : domain;
}

CredentialHelper::CredentialHelper(std::string name) : name_(std::move(name)) {
  if (!is_helper_name(name_))
    throw Error::make(Errc::invalid, "credential helper '{}' is no name of a program", printable(name_));
}

void CredentialHelper::fail(const std::string& reason) const {
  throw Error::make(Errc::unavailable, "credential helper 'docker-credential-{}': {}", name_, reason)
      .with_hint("give the login with --creds, or another auth file with --authfile");
}

CredentialHelper::Result CredentialHelper::run(const std::string& verb, const std::string& input) const {
  auto [child_in, in] = make_pipe();
  auto [out, child_out] = make_pipe();
  try {
    Child child("docker-credential-" + name_, verb, child_in, child_out);
    child_in.reset();
    child_out.reset();
    const Deadline end = std::chrono::steady_clock::now() + std::chrono::seconds{kHelperSeconds};
    std::string output = converse(std::move(in), out, input, end);
    return {.status = child.wait(end), .output = std::move(output)};
  } catch (const Error& error) {
    if (error.code() == Errc::cancelled) throw;
    fail(error.code() == Errc::not_found ? "there is no such program in the PATH" : error.message());
  }
}

std::optional<Credentials> CredentialHelper::get(const std::string& domain) const {
  const Result result = run("get", helper_server(domain));
  if (result.status != 0) {
    if (result.output.find(kNothing) != std::string::npos) return std::nullopt;
    fail(fmt::format("'get' ended with status {}", result.status));
  }
  try {
    const Json json = parse_json(result.output, "answer");
    const std::string user = json_string(json, "Username");
    std::string secret = json_string(json, "Secret");
    if (user == "<token>") return Credentials{.identity_token = std::move(secret)};
    if (!user.empty()) return Credentials{.username = user, .password = std::move(secret)};
  } catch (const Error&) {  // its text may quote the secret
  }
  fail("its answer is not what the protocol says");
}

void CredentialHelper::store(const std::string& domain, const Credentials& credentials) const {
  const bool is_token = !credentials.identity_token.empty();
  const Json json{{"ServerURL", helper_server(domain)},
                  {"Username", is_token ? "<token>" : credentials.username},
                  {"Secret", is_token ? credentials.identity_token : credentials.password}};
  const Result result = run("store", json.dump());
  if (result.status != 0) fail(fmt::format("'store' ended with status {}", result.status));
}

bool CredentialHelper::erase(const std::string& domain) const {
  const Result result = run("erase", helper_server(domain));
  if (result.status == 0) return true;
  if (result.output.find(kNothing) != std::string::npos) return false;
  fail(fmt::format("'erase' ended with status {}", result.status));
}

}  // namespace lay::registry
