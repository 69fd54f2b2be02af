#include "server/http/certificate.h"

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "base/error.h"
#include "base/shared_library.h"

namespace lay::registry::server {

namespace {

constexpr unsigned kMaxChain = 16;

/// Not linked, as libmicrohttpd, which brings it along.
struct GnutlsLibrary {
  decltype(&::gnutls_pcert_list_import_x509_raw) import_chain;
  decltype(&::gnutls_pcert_deinit) end_certificate;
  decltype(&::gnutls_privkey_init) begin_key;
  decltype(&::gnutls_privkey_import_x509_raw) import_key;
  decltype(&::gnutls_privkey_deinit) end_key;
  decltype(&::gnutls_certificate_allocate_credentials) begin_credentials;
  decltype(&::gnutls_certificate_set_x509_key_mem) set_credentials;
  decltype(&::gnutls_certificate_free_credentials) end_credentials;
};

GnutlsLibrary open_library() {
  const SharedLibrary library("libgnutls.so.30", "serving a registry with TLS", "libgnutls30");
  GnutlsLibrary table{};
  library.load("gnutls_pcert_list_import_x509_raw", table.import_chain);
  library.load("gnutls_pcert_deinit", table.end_certificate);
  library.load("gnutls_privkey_init", table.begin_key);
  library.load("gnutls_privkey_import_x509_raw", table.import_key);
  library.load("gnutls_privkey_deinit", table.end_key);
  library.load("gnutls_certificate_allocate_credentials", table.begin_credentials);
  library.load("gnutls_certificate_set_x509_key_mem", table.set_credentials);
  library.load("gnutls_certificate_free_credentials", table.end_credentials);
  return table;
}

const GnutlsLibrary& gnutls() {
  static const GnutlsLibrary library = open_library();
  return library;
}

void require_success(int result) {
  if (result >= 0) return;
  throw Error(Errc::invalid, "the certificate or its key cannot be used")
      .with_hint("both files are PEM, and the key is the certificate's");
}

gnutls_datum_t datum_of(const std::string& text) {
  return {.data = reinterpret_cast<unsigned char*>(const_cast<char*>(text.data())),
          .size = static_cast<unsigned>(text.size())};
}

/// Whether both can be read and belong together: GnuTLS tells only of credentials.
void require_pair(const TlsFiles& files) {
  gnutls_certificate_credentials_t credentials = nullptr;
  require_success(gnutls().begin_credentials(&credentials));
  const gnutls_datum_t certificate = datum_of(files.certificate);
  const gnutls_datum_t key = datum_of(files.key);
  const int result = gnutls().set_credentials(credentials, &certificate, &key, GNUTLS_X509_FMT_PEM);
  gnutls().end_credentials(credentials);
  require_success(result);
}

/// As GnuTLS reads them.
class Identity {
 public:
  explicit Identity(const TlsFiles& files) : files_(files), chain_(kMaxChain) {
    require_pair(files);
    const gnutls_datum_t certificate = datum_of(files.certificate);
    require_success(gnutls().import_chain(chain_.data(), &count_, &certificate, GNUTLS_X509_FMT_PEM,
                                          GNUTLS_X509_CRT_LIST_SORT));
    const gnutls_datum_t text = datum_of(files.key);
    const int result = gnutls().begin_key(&key_) < 0
                           ? -1
                           : gnutls().import_key(key_, &text, GNUTLS_X509_FMT_PEM, nullptr, 0);
    if (result < 0) release();
    require_success(result);
  }
  ~Identity() { release(); }
  Identity(const Identity&) = delete;
  Identity& operator=(const Identity&) = delete;

  const TlsFiles& files() const { return files_; }
  gnutls_pcert_st* chain() { return chain_.data(); }
  unsigned count() const { return count_; }
  gnutls_privkey_t key() const { return key_; }

 private:
  void release() {
    for (unsigned i = 0; i < count_; ++i) gnutls().end_certificate(&chain_[i]);
    if (key_ != nullptr) gnutls().end_key(key_);
  }

  const TlsFiles files_;
  std::vector<gnutls_pcert_st> chain_;
  unsigned count_ = kMaxChain;
  gnutls_privkey_t key_ = nullptr;
};

/// All that were used: a handshake refers to one for as long as it takes, and a renewal comes once in months.
struct Identities {
  std::mutex mutex;
  std::vector<std::unique_ptr<Identity>> all;
  std::atomic<Identity*> current = nullptr;
};

Identities& identities() {
  static Identities instance;
  return instance;
}

}  // namespace

void use_certificate(const TlsFiles& files) {
  Identities& shared = identities();
  const std::lock_guard lock(shared.mutex);
  if (!shared.all.empty() && shared.all.back()->files() == files) return;
  shared.all.push_back(std::make_unique<Identity>(files));
  shared.current = shared.all.back().get();
}

int choose_certificate(gnutls_session_t, const gnutls_datum_t*, int, const gnutls_pk_algorithm_t*, int,
                       gnutls_pcert_st** chain, unsigned* length, gnutls_privkey_t* key) {
  Identity* const identity = identities().current;
  if (identity == nullptr) return -1;
  *chain = identity->chain();
  *length = identity->count();
  *key = identity->key();
  return 0;
}

}  // namespace lay::registry::server
