#pragma once

#include <optional>

namespace lay {

/// A shared library that is opened when it is needed, dlopen(3), so that starting a container does not load
/// it. It is never closed: what it has started may outlive any use.
class SharedLibrary {
 public:
  /// Whether every symbol that it and its own libraries need is looked up at once, or each when it is called.
  enum class Symbols { at_once, when_called };

  /// `file`: "libcurl.so.4"; `purpose`: "talking to a registry"; `package`: what brings it, "libcurl4".
  /// Throws unsupported where it is not installed.
  SharedLibrary(const char* file, const char* purpose, const char* package,
                Symbols symbols = Symbols::at_once);
  /// One that lay can do without, with every symbol looked up at once; empty where it is not installed.
  static std::optional<SharedLibrary> try_open(const char* file, const char* package);

  /// Sets `function` to what is called `name` in it; throws unsupported when there is none.
  template <class Function>
  void load(const char* name, Function& function) const {
    function = reinterpret_cast<Function>(symbol(name));
  }

  /// As load(), but false, and `function` null, when there is none.
  template <class Function>
  bool try_load(const char* name, Function& function) const {
    function = reinterpret_cast<Function>(find_symbol(name));
    return function != nullptr;
  }

 private:
  SharedLibrary(const char* file, const char* package, void* handle)
      : file_(file), package_(package), handle_(handle) {}

  void* symbol(const char* name) const;
  void* find_symbol(const char* name) const noexcept;

  const char* file_;
  const char* package_;
  void* handle_;
};

}  // namespace lay
