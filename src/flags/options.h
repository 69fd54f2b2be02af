#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "flags/parser.h"
#include "layerstore/codec.h"
#include "layerstore/image_config.h"
#include "layerstore/media_types.h"
#include "registry/transfer.h"

/// What several commands' flags have in common.
namespace lay::cli {

/// --cmd, --entrypoint, --env … of import and commit: how a container of the image shall run.
struct ImageFlags {
  std::optional<std::string> cmd;
  std::optional<std::string> entrypoint;
  std::vector<std::string> env;
  std::optional<std::string> workdir;
  std::optional<std::string> user;
  std::vector<std::string> expose;
  std::vector<std::string> labels;
  std::vector<std::string> volumes;
  std::optional<std::string> stop_signal;
  std::optional<std::string> compression;
  int level = 0;
  std::string author;
  std::string message;

  void add_to(Parser& parser);
  /// `base` with these flags put over it; throws invalid.
  layerstore::RunDefaults over(layerstore::RunDefaults base) const;
  /// Without --compression it is zstd, and gzip where the manifest is to be Docker's; throws invalid.
  layerstore::CompressOptions compress_options(
      layerstore::media_type::ManifestFormat format = layerstore::media_type::ManifestFormat::oci) const;
};

/// A command as users write it: a JSON list is taken as it is; anything else is a shell line, run by
/// `/bin/sh -c`, as docker does. Throws invalid on a broken list.
std::vector<std::string> parse_command_line(const std::string& text);
/// "NAME=value", or "NAME" for the value it has here (absent when it has none).
void set_environment(std::vector<std::string>& env, const std::string& setting);
/// "KEY=value" or "KEY"; throws invalid when the key is empty.
std::pair<std::string, std::string> parse_label(const std::string& text);

/// What --tls-verify says on help pages.
inline constexpr const char* kTlsAbout =
    "=true: https alone, on this machine too; =false: plain HTTP and unknown certificates are allowed";
/// --tls-verify, of which it matters whether it was given.
struct TlsFlag {
  std::optional<bool> verifies;

  /// `names` as Parser::add_flag() has them.
  void add_to(Parser& parser, const std::string& names, const std::string& about);
  registry::TlsVerify value() const;
};

/// Connection::on_silence for the user's eyes.
void tell_silence(const std::string& host);

/// --tls-verify, --creds, --authfile, --cert-dir, --retry, --retry-delay.
struct ConnectionFlags {
  TlsFlag tls;
  std::string creds;
  std::string authfile;
  std::string cert_dir;
  unsigned retries = registry::Patience{}.retries;
  double retry_delay = 0;  ///< seconds; 0: the default

  void add_to(Parser& parser);
  /// Tells of silence; who is to be quiet takes that out.
  registry::Connection connection() const;
};
/// Who has --creds asks these registries alone: throws invalid when they are several, for the credentials are
/// one's, and the others must not see them.
void require_one_registry(const std::set<std::string>& domains);

/// LAY_TOKEN_SERVERS: hosts, separated by commas.
std::vector<std::string> trusted_token_servers();
/// LAY_UPLOAD_CHUNK, or else what PushRequest has; throws invalid when it is no size.
std::uint64_t upload_chunk();

}  // namespace lay::cli
