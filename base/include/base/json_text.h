#pragma once

#include <cstdint>
#include <string>
#include <string_view>

/// JSON that is written as text at once, for documents with a line for each of many thousand files: Json
/// makes a tree of every one before it writes it.
namespace lay {

/// Appends `text`, quoted and escaped as dump_json() does; throws invalid when it is not UTF-8.
void append_json(std::string& to, std::string_view text);
void append_json(std::string& to, std::uint64_t number);

/// An object at the end of a text, member by member in the order in which they are added.
class JsonObjectText {
 public:
  /// `to` must outlive the object, and grows through it alone until end().
  explicit JsonObjectText(std::string& to) : to_(to) { to_ += '{'; }

  template <class Value>
  void add(std::string_view name, const Value& value) {
    append_json(begin(name), value);
  }
  /// Where the value of a member has to be appended.
  std::string& begin(std::string_view name);
  void end() { to_ += '}'; }

 private:
  std::string& to_;
  bool is_first_ = true;
};

}  // namespace lay
