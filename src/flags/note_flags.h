#pragma once

#include <map>
#include <string>
#include <vector>

#include "flags/parser.h"

namespace lay::cli {

/// --label, --label-file and --annotation of run: what others shall read about a container.
struct NoteFlags {
  std::vector<std::string> labels;
  std::vector<std::string> label_files;
  std::vector<std::string> annotations;

  void add_to(Parser& parser);
  /// --annotation alone: a bundle has no labels.
  void add_annotations_to(Parser& parser);
  /// Throws invalid, with file and line, and what keeps a file from being read.
  void put_labels(std::map<std::string, std::string>& into) const;
  /// Throws invalid, also for what lay keeps its own settings in.
  void put_annotations(std::map<std::string, std::string>& into) const;
};

}  // namespace lay::cli
