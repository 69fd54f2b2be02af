#pragma once

#include <exception>
#include <string>
#include <utility>
#include <vector>

namespace lay::registry::server {

using HeaderList = std::vector<std::pair<std::string, std::string>>;

/// The codes of distribution-spec "Error Codes"; TOOMANYREQUESTS is its code-14.
namespace error_code {
constexpr const char* kBlobUnknown = "BLOB_UNKNOWN";
constexpr const char* kUploadInvalid = "BLOB_UPLOAD_INVALID";
constexpr const char* kUploadUnknown = "BLOB_UPLOAD_UNKNOWN";
constexpr const char* kDigestInvalid = "DIGEST_INVALID";
constexpr const char* kManifestBlobUnknown = "MANIFEST_BLOB_UNKNOWN";
constexpr const char* kManifestInvalid = "MANIFEST_INVALID";
constexpr const char* kManifestUnknown = "MANIFEST_UNKNOWN";
constexpr const char* kNameInvalid = "NAME_INVALID";
constexpr const char* kNameUnknown = "NAME_UNKNOWN";
constexpr const char* kSizeInvalid = "SIZE_INVALID";
constexpr const char* kUnauthorized = "UNAUTHORIZED";
constexpr const char* kDenied = "DENIED";
constexpr const char* kUnsupported = "UNSUPPORTED";
constexpr const char* kTooMany = "TOOMANYREQUESTS";
constexpr const char* kUnknown = "UNKNOWN";  // no code of the specification fits: the server's own trouble
}  // namespace error_code

/// A request that is answered with an error document instead of what it asked for. Thrown by whatever finds
/// the reason; the HTTP side turns it into an answer, everything else it sees as the server's own failure.
class Refusal : public std::exception {
 public:
  Refusal(int status, const char* code, std::string message, HeaderList headers = {})
      : status_(status), code_(code), message_(std::move(message)), headers_(std::move(headers)) {}

  const char* what() const noexcept override { return message_.c_str(); }
  int status() const { return status_; }
  const char* code() const { return code_; }
  const std::string& message() const { return message_; }
  const HeaderList& headers() const { return headers_; }

 private:
  int status_;
  const char* code_;
  std::string message_;
  HeaderList headers_;
};

}  // namespace lay::registry::server
