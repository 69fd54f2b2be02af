#pragma once

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

  /// Sets `function` to what is called `name` in it; throws unsupported when there is none.
  template <class Function>
  void load(const char* name, Function& function) const {
    function = reinterpret_cast<Function>(symbol(name));
  }

 private:
  void* symbol(const char* name) const;

  const char* file_;
  const char* package_;
  void* handle_;
};

}  // namespace lay
