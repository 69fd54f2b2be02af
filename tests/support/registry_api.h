#pragma once

#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <optional>
#include <string>

#include "base/syscalls.h"
#include "layerstore/descriptor.h"
#include "layerstore/manifest.h"
#include "layerstore/media_types.h"
#include "layerstore/store.h"
#include "server/api/api.h"

namespace lay::test {

/// The registry in a store without HTTP in front: requests go to its Api as they are once they are parsed.
class RegistryApi {
 public:
  explicit RegistryApi(const layerstore::Store& store, std::size_t max_uploads = 100)
      : folder_(make_folder(store.path())),
        registry{.store = store,
                 .repositories = registry::server::Repositories(folder_),
                 .names = registry::server::ImageNames(store, "localhost:5000",
                                                       registry::server::LocalNames::served),
                 .uploads = registry::server::Uploads(folder_, max_uploads),
                 .changing = {}},
        api_(registry, registry::server::AccessRules({}, registry::server::Right::remove),
             registry::server::Writes::accepted, [](const Error&) {}) {}

  registry::server::Response request(const std::string& method, const std::string& target,
                                     const std::string& body = "", const std::string& content_type = "",
                                     const std::string& content_range = "") {
    try {
      registry::server::Request request{.method = method,
                                        .target = registry::server::parse_request_target(target)};
      request.length = body.size();
      request.content_type = content_type;
      request.content_range = content_range;
      return answer(request, body);
    } catch (const registry::server::Refusal& refusal) {
      return registry::server::error_response(refusal);
    }
  }

  /// The answer, that of a Refusal too.
  registry::server::Response answer(const registry::server::Request& request, const std::string& body) {
    try {
      const registry::server::Action action = api_.begin(request);
      if (action.take && !body.empty()) action.take(std::as_bytes(std::span(body)));
      return action.finish();
    } catch (const registry::server::Refusal& refusal) {
      return registry::server::error_response(refusal);
    }
  }

  /// Empty when it was refused. May be called by several threads, as all that pushes.
  std::optional<layerstore::Descriptor> try_push_blob(const std::string& repository, const std::string& bytes,
                                                      std::string_view media_type) {
    const layerstore::Digest digest = layerstore::digest_of(bytes);
    const auto response =
        request("POST", "/v2/" + repository + "/blobs/uploads/?digest=" + digest.to_string(), bytes);
    if (response.status != 201) return std::nullopt;
    return layerstore::Descriptor{
        .media_type = std::string(media_type), .digest = digest, .size = bytes.size()};
  }

  layerstore::Descriptor push_blob(const std::string& repository, const std::string& bytes,
                                   std::string_view media_type) {
    const auto pushed = try_push_blob(repository, bytes, media_type);
    REQUIRE(pushed);
    return *pushed;
  }

  /// Pushes the config of an image without layers that can be run here, and returns the manifest.
  std::optional<std::string> try_push_parts(const std::string& repository, const std::string& label = "") {
    const layerstore::Platform here = layerstore::host_platform();
    const std::string config = R"({"os":")" + here.os + R"(","architecture":")" + here.architecture +
                               R"(","rootfs":{"type":"layers","diff_ids":[]},"config":{"Labels":{"x":")" +
                               label + R"("}}})";
    return manifest_of(try_push_blob(repository, config, layerstore::media_type::kConfig));
  }

  std::string push_parts(const std::string& repository, const std::string& label = "") {
    const auto manifest = try_push_parts(repository, label);
    REQUIRE(manifest);
    return *manifest;
  }

  /// As try_push_parts(), of something that cannot be run.
  std::optional<std::string> try_push_artifact(const std::string& repository) {
    return manifest_of(try_push_blob(repository, "{}", "application/vnd.example.config"));
  }

  registry::server::Response put_manifest(const std::string& repository, const std::string& reference,
                                          const std::string& manifest) {
    return request("PUT", "/v2/" + repository + "/manifests/" + reference, manifest,
                   std::string(layerstore::media_type::kManifest));
  }

 private:
  static std::optional<std::string> manifest_of(const std::optional<layerstore::Descriptor>& config) {
    if (!config) return std::nullopt;
    return layerstore::write_manifest(
        {.media_type = std::string(layerstore::media_type::kManifest), .config = *config});
  }
  static UniqueFd make_folder(const std::string& root) {
    sys::try_mkdir_at(sys::cwd(), root + "/registry", 0700);
    return sys::open_dir(sys::cwd(), root + "/registry");
  }

  UniqueFd folder_;

 public:
  registry::server::Registry registry;

 private:
  registry::server::Api api_;
};

}  // namespace lay::test
