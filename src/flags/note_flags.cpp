#include "flags/note_flags.h"

#include "base/error.h"
#include "base/text.h"
#include "flags/options.h"
#include "flags/setting_file.h"

namespace lay::cli {

namespace {

constexpr const char* kOwnPrefix = "dev.lay.";

void put_label(std::map<std::string, std::string>& into, const std::string& text) {
  const auto [key, value] = parse_label(text);
  into.insert_or_assign(key, value);
}

}  // namespace

void NoteFlags::add_to(Parser& parser) {
  parser.add_list("-l,--label", labels, "label of the container", "KEY=VALUE");
  parser.add_list("--label-file", label_files, "file with a label in each line", "FILE");
  add_annotations_to(parser);
}

void NoteFlags::add_annotations_to(Parser& parser) {
  parser.add_list("--annotation", annotations, "annotation in its runtime spec", "KEY=VALUE");
}

void NoteFlags::put_labels(std::map<std::string, std::string>& into) const {
  for (const std::string& file : label_files)
    read_setting_file("--label-file", file, [&](const std::string& line) { put_label(into, line); });
  for (const std::string& label : labels) put_label(into, label);
}

void NoteFlags::put_annotations(std::map<std::string, std::string>& into) const {
  for (const std::string& text : annotations) {
    const std::size_t equals = text.find('=');
    if (equals == 0 || equals == std::string::npos)
      throw Error::make(Errc::invalid, "--annotation '{}' is not KEY=VALUE", printable(text))
          .with_hint("--annotation org.example.owner=me");
    if (text.starts_with(kOwnPrefix))
      throw Error::make(Errc::invalid, "--annotation '{}': what begins with '{}' is lay's own",
                        printable(text), kOwnPrefix)
          .with_hint("take another key; the flags of run say what lay keeps there");
    into.insert_or_assign(text.substr(0, equals), text.substr(equals + 1));
  }
}

}  // namespace lay::cli
