// Run while lay is built: writes the tables from which the built-in seccomp profile is put together when a
// container starts, so that lay itself needs neither libseccomp nor names of system calls. Into the folder
// that it is given, as lines of a C++ initialiser for CallRange arrays (security/seccomp_program.h):
//   seccomp_native.inc  the calls of this architecture
//   seccomp_compat.inc  those of the other one whose programs its kernel runs too
//   seccomp_refused.inc the names of all that either table refuses
#include <seccomp.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>

#include "../security/seccomp_new_calls.h"
#include "seccomp_names.h"

namespace {

using lay::runner::kAllowedSyscalls;
using lay::runner::kGatedSyscalls;
using lay::runner::kNewSyscalls;

constexpr int kEndOfNumbers = 1024;  // above every number of either architecture

constexpr std::uint32_t kCompatArch =
#if defined(__x86_64__)
    SCMP_ARCH_X86;
#elif defined(__aarch64__)
    SCMP_ARCH_ARM;
#else
#error "the system calls of this architecture have not been looked at"
#endif

/// Every call that has a name, by number.
std::map<int, std::string> names_of(std::uint32_t arch) {
  std::map<int, std::string> names;
  for (int number = 0; number < kEndOfNumbers; ++number) {
    const std::unique_ptr<char, decltype(&std::free)> found(::seccomp_syscall_resolve_num_arch(arch, number),
                                                            &std::free);
    if (found) names[number] = found.get();
  }
  for (const auto& [name, number] : kNewSyscalls)
    if (arch == ::seccomp_arch_native() || number >= lay::runner::kFirstCommonCall)
      names.try_emplace(number, name);
  return names;
}

/// Those whose arguments decide are kinds of their own; clone3 gets what an unknown call does, so that
/// programs fall back to clone, whose flags can be seen.
std::string answer_for(const std::string& name) {
  if (name == "clone" || name == "personality" || name == "socket" || name == "socketcall" || name == "ioctl")
    return name;
  if (name == "clone3") return "unknown";
  return std::binary_search(kAllowedSyscalls.begin(), kAllowedSyscalls.end(), name) ? "allowed" : "denied";
}

std::uint64_t capabilities_for(const std::string& name) {
  const auto entry = std::find_if(kGatedSyscalls.begin(), kGatedSyscalls.end(),
                                  [&](const auto& gated) { return gated.first == name; });
  return entry == kGatedSyscalls.end() ? 0 : entry->second;
}

void write_table(std::uint32_t arch, const std::string& path) {
  const std::map<int, std::string> names = names_of(arch);
  std::ofstream out(path);
  std::string last;
  for (int number = 0; number <= kEndOfNumbers; ++number) {
    const auto entry = names.find(number);
    const std::string line = entry == names.end() ? "CallAnswer::unknown, 0"
                                                  : "CallAnswer::" + answer_for(entry->second) + ", " +
                                                        std::to_string(capabilities_for(entry->second));
    if (line != last) out << "{" << number << ", " << line << "},\n";
    last = line;
  }
  out.close();
  if (!out) throw std::runtime_error("cannot write " + path);
}

/// For profiles that others compile (security/seccomp_listing.cpp).
void write_refused(const std::string& path) {
  std::set<std::string> refused;
  for (const std::uint32_t arch : {::seccomp_arch_native(), kCompatArch})
    for (const auto& [number, name] : names_of(arch))
      if (answer_for(name) == "denied") refused.insert(name);
  std::ofstream out(path);
  for (const std::string& name : refused) out << '"' << name << "\",\n";
  out.close();
  if (!out) throw std::runtime_error("cannot write " + path);
}

/// A name that was misspelt would be denied without a word.
void check_names() {
  const auto check = [](std::string_view name) {
    const bool is_new = std::any_of(kNewSyscalls.begin(), kNewSyscalls.end(),
                                    [&](const auto& entry) { return entry.first == name; });
    if (!is_new && ::seccomp_syscall_resolve_name(std::string(name).c_str()) == __NR_SCMP_ERROR)
      throw std::runtime_error("no system call is called " + std::string(name));
  };
  for (const std::string_view name : kAllowedSyscalls) check(name);
  for (const auto& entry : kGatedSyscalls) check(entry.first);
  if (!std::is_sorted(kAllowedSyscalls.begin(), kAllowedSyscalls.end()))
    throw std::runtime_error("the allowed system calls are not in byte order");
}

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc != 2) throw std::runtime_error("usage: compile_seccomp FOLDER");
    const std::string folder = argv[1];
    check_names();
    write_table(::seccomp_arch_native(), folder + "/seccomp_native.inc");
    write_table(kCompatArch, folder + "/seccomp_compat.inc");
    write_refused(folder + "/seccomp_refused.inc");
    return EXIT_SUCCESS;
  } catch (const std::exception& error) {
    std::cerr << "compile_seccomp: " << error.what() << "\n";
    return EXIT_FAILURE;
  }
}
