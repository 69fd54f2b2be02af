#pragma once

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/syscalls.h"
#include "base/text.h"
#include "poll_until.h"
#include "runner/lifecycle.h"
#include "shell.h"
#include "temp_folder.h"

namespace lay::test {

/// What a call made in a process of its own has said and answered.
struct RunResult {
  int status = 0;  ///< its exit code, or 125 after an Error
  std::string output;
  std::string errors;  ///< standard error, then the Error's message and hint
};

inline std::string file_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void write_text(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

/// A root and a RUN of the test's own, and one layer made of Debian's busybox-static.
class ContainerFixture {
 public:
  ContainerFixture()
      : layer_(temp_.path() + "/layer"), store_(temp_.path() + "/root", temp_.path() + "/run") {
    for (const char* folder : {"", "/bin", "/etc", "/proc", "/sys", "/dev", "/tmp", "/home", "/home/app"})
      std::filesystem::create_directory(layer_ + folder);
    std::filesystem::copy_file("/bin/busybox", layer_ + "/bin/busybox");
    for (const std::string& applet : split(shell("/bin/busybox --list").output, '\n'))
      if (!applet.empty() && applet != "busybox")
        sys::symlink_at("busybox", sys::cwd(), layer_ + "/bin/" + applet);
    write_text(layer_ + "/etc/passwd",
               "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001:app:/home/app:/bin/sh\n");
    write_text(layer_ + "/etc/group", "root:x:0:\napp:x:1001:\nstaff:x:50:other,app\n");
  }

  ~ContainerFixture() {
    for (const runner::Container& container : store_.list())
      runner::stop_container(store_, container, std::chrono::seconds(0));
  }

  const runner::ContainerStore& store() const { return store_; }
  const std::string& layer() const { return layer_; }
  const std::string& path() const { return temp_.path(); }

  /// A container without network that executes `args`.
  runner::ContainerConfig config(std::vector<std::string> args) const {
    runner::ContainerConfig config;
    config.lowers = {layer_};
    config.network.mode = runner::NetworkMode::none;
    config.spec = runner::default_spec();
    config.spec.process.args = std::move(args);
    config.spec.process.env = {"PATH=/usr/bin:/bin"};
    return config;
  }
  runner::ContainerConfig script(const std::string& text) const { return config({"sh", "-c", text}); }

  /// Runs `body` in a process of its own whose standard output and error are files,
  /// and standard input is `input`.
  RunResult capture(const std::function<int()>& body, const std::string& input = {}) const {
    const std::string base = temp_.path() + "/io." + sys::random_hex(4);
    write_text(base + ".in", input);
    const pid_t pid = ::fork();
    REQUIRE(pid >= 0);
    if (pid == 0) ::_exit(redirected(base, body));
    int status = 0;
    REQUIRE(::waitpid(pid, &status, 0) == pid);
    RunResult result{.output = file_text(base + ".out"), .errors = file_text(base + ".err")};
    result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return result;
  }

  RunResult run(runner::ContainerConfig config, const std::string& input = {}) const {
    const runner::Container container = store_.create(std::move(config));
    return start(container, input);
  }
  RunResult start(const runner::Container& container, const std::string& input = {}) const {
    return capture([&] { return runner::run_attached(store_, container).exit_code; }, input);
  }
  RunResult exec(const runner::Container& container, const runner::ExecRequest& request,
                 const std::string& input = {}) const {
    return capture([&] { return runner::exec_in(store_, container, request).exit_code; }, input);
  }
  runner::Container run_detached(runner::ContainerConfig config) const {
    runner::Container container = store_.create(std::move(config));
    runner::run_detached(store_, container);
    return container;
  }

  /// Processes whose mounts, and cgroups whose names, tell of this fixture: what a
  /// container must not leave behind.
  std::string leftovers() const {
    std::string found;
    for (const auto& process : std::filesystem::directory_iterator("/proc")) {
      const std::string text = file_text(process.path().string() + "/mountinfo");
      if (text.find(temp_.path()) != std::string::npos) found += process.path().string() + "\n";
    }
    for (const runner::Container& container : store_.list())
      found += shell("find /sys/fs/cgroup -name '*" + container.config().id + "*'").output;
    return found;
  }

 private:
  static int redirected(const std::string& base, const std::function<int()>& body) {
    const UniqueFd in = sys::open_at(sys::cwd(), base + ".in", O_RDONLY);
    const UniqueFd out = sys::open_at(sys::cwd(), base + ".out", O_WRONLY | O_CREAT | O_APPEND, 0600);
    const UniqueFd err = sys::open_at(sys::cwd(), base + ".err", O_WRONLY | O_CREAT | O_APPEND, 0600);
    ::dup2(in.get(), STDIN_FILENO);
    ::dup2(out.get(), STDOUT_FILENO);
    ::dup2(err.get(), STDERR_FILENO);
    try {
      return body();
    } catch (const Error& error) {
      sys::write_all(err, error.message() + "\nhint: " + error.hint() + "\n");
      if (error.code() == Errc::no_command) return 127;
      return error.code() == Errc::not_invocable ? 126 : 125;
    }
  }

  TempFolder temp_;
  std::string layer_;
  runner::ContainerStore store_;
};

}  // namespace lay::test
