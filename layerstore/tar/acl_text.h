#pragma once

#include <string>
#include <string_view>

namespace lay::layerstore {

/// The value of the extended attribute for an access list in text form, as the pax records SCHILY.acl.access
/// and SCHILY.acl.default of GNU tar, bsdtar and star have it. Empty when the text lists nothing.
///   throws  invalid when it is none; unsupported when it names users or groups without their numbers: who
///           they are, only the image's own files could tell
///   source  acl(5) "SHORT TEXT FORM" and "LONG TEXT FORM"; star(5), whose fourth field is the number; the
///           kernel's posix_acl_xattr.h
std::string parse_acl_text(std::string_view text);

}  // namespace lay::layerstore
