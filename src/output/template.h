#pragma once

#include <string>

#include "base/json.h"

namespace lay::cli {

/// `text` with what stands between {{ and }} put in, as Go's text/template has it (its package page), so far
/// as scripts for docker and podman use it: .Member.Member, $variables, "texts", `texts`, numbers and true,
/// false, nil; the functions in template_functions.cpp, also behind '|'; if, with and range with else, else
/// if and end, also with variables; $name := and $name =; {{/* comments */}}; {{- and -}}; .Label "key" for a
/// label. Outside of {{}} \t and \n are tab and newline. Null is shown as nothing. Throws invalid on anything
/// else, and on members that are not there, but in the condition of `if` and `with` and where users name the
/// members, as of Labels.
std::string fill_template(const std::string& text, const Json& value);

/// "\t" and "\n" as the characters that they stand for.
std::string unescape(const std::string& text);

/// A value as a template shows it.
std::string shown(const Json& value);

}  // namespace lay::cli
