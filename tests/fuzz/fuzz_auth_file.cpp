#include <cstdlib>
#include <string>

#include "auth/auth_file.h"
#include "base/base64.h"
#include "base/error.h"
#include "fuzz_target.h"

namespace {

using lay::registry::AuthFile;

/// A login that is put into whatever was there is found again once the file is read again, and is gone when
/// it was erased.
void check_change(AuthFile file, AuthFile::Format format) {
  const lay::registry::Credentials ann{.username = "ann", .password = "p:w", .identity_token = ""};
  file.set("reg.example", "reg.example", ann);
  AuthFile again(file.text(), format);
  if (again.find("reg.example", "") != ann) std::abort();
  if (!again.erase("reg.example") || again.find("reg.example", "")) std::abort();
}

}  // namespace

/// What an auth file may hold, in both of its forms, and the base64 in it.
int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  if (lay::base64_decode(lay::base64_encode(text)) != text) std::abort();
  lay::base64_decode(text);
  for (const auto format : {AuthFile::Format::config, AuthFile::Format::legacy}) try {
      const AuthFile file(text, format);
      file.find("host.example:5000", "team/app");
      file.helper_of("host.example:5000");
      file.creds_store();
      check_change(file, format);
    } catch (const lay::Error&) {
    }
  return 0;
}
