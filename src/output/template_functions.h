#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/json.h"

/// The functions of templates (template.h): Go's, and those that docker and podman add.
namespace lay::cli {

struct TemplateValue {
  Json json{};
  /// Text of the template itself, or made printable already: put in as it is.
  bool is_shown = false;
};

/// A value as a template shows it.
std::string text_of(const TemplateValue& value);
/// As Go's `if` decides: neither null, false and 0, nor empty.
bool is_true(const Json& value);
/// A key that is not there is null, as in Go; throws invalid for a number beyond the end of a list.
Json element_of(const Json& value, const Json& key);
/// What `name` gives for the arguments. Throws invalid for what is no function, and for arguments that it
/// cannot have.
TemplateValue call_function(const std::string& name, const std::vector<TemplateValue>& arguments);
/// What is thrown for `text` that is no part of such a template.
Error template_not_understood(std::string_view text);

}  // namespace lay::cli
