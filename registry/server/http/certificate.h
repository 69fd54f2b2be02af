#pragma once

#include <gnutls/abstract.h>

#include <string>

namespace lay::registry::server {

/// Certificate, with those that lead to its authority behind it, and key: PEM.
struct TlsFiles {
  std::string certificate;
  std::string key;

  bool operator==(const TlsFiles&) const = default;
};

/// New TLS connections of this process are shown this certificate from here on; those that are there keep
/// theirs. Throws invalid when the two cannot be used together; what was used before stays then.
void use_certificate(const TlsFiles& files);

/// MHD_OPTION_HTTPS_CERT_CALLBACK: gives what use_certificate() was told last.
int choose_certificate(gnutls_session_t session, const gnutls_datum_t* authorities, int authority_count,
                       const gnutls_pk_algorithm_t* algorithms, int algorithm_count, gnutls_pcert_st** chain,
                       unsigned* length, gnutls_privkey_t* key);

}  // namespace lay::registry::server
