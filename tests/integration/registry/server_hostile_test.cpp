#include <set>

#include "registry_api.h"
#include "store_support.h"

/// Cases G of the threats: what a client that may write sends to a registry.
namespace lay::registry {

namespace {

using server::Response;

const std::string kDigest = "sha256:" + std::string(64, 'a');

std::string header_of(const Response& response, const std::string& name) {
  for (const auto& [key, value] : response.headers)
    if (key == name) return value;
  return "";
}

std::string begin(test::RegistryApi& api, const std::string& repository = "a") {
  const Response response = api.request("POST", "/v2/" + repository + "/blobs/uploads/");
  REQUIRE(response.status == 202);
  return header_of(response, "Location");
}

/// Whether the body is an error document (distribution-spec "Error Codes").
bool is_error_document(const Response& response) {
  const Json json = parse_json(response.body, "answer");
  const Json& errors = json_array(json, "errors");
  return errors.size() == 1 && !json_string(errors[0], "code").empty();
}

/// The manifest with other members.
std::string changed(const std::string& manifest, const Json& members) {
  Json json = parse_json(manifest, "manifest");
  json.update(members);
  return dump_json(json);
}

}  // namespace

TEST_CASE("G01: a target that is none is answered with an error document", "[registry][server]") {
  const test::TempStore temp;
  test::RegistryApi api(temp.store);
  api.push_parts("a");
  for (const std::string target :
       {"/v2/../../etc/passwd", "/v2/%2e%2e/%2e%2e/etc/manifests/x", "/v2/a%2f..%2fb/manifests/x",
        "/v2/a%00/manifests/x", "/v2/a//b/manifests/x", "/v2/a\\b/manifests/x", "/v2/a+b/manifests/x",
        "/v2/a/manifests/%00", "/v2/a/manifests/..", "/v2/a/manifests/.x", "/v2/a/manifests/-x",
        "/v2/a/blobs/uploads/../x", "/v2/a/blobs/uploads/x", "/v2/a/blobs/uploads/%2e%2e"}) {
    INFO(target);
    const Response response = api.request("GET", target);
    CHECK((response.status == 400 || response.status == 404));
    CHECK(is_error_document(response));
  }
  for (const std::string& name : {std::string(300, 'n'), std::string("a/") + std::string(300, 'n')})
    CHECK(api.request("GET", "/v2/" + name + "/tags/list").status == 400);
}

TEST_CASE("G01: a digest that is none names nothing, wherever it stands", "[registry][server]") {
  const test::TempStore temp;
  test::RegistryApi api(temp.store);
  const std::string manifest = api.push_parts("a");
  const std::string hex(64, 'a');
  const auto refused = [](const Response& response) {
    return (response.status == 400 || response.status == 404) && is_error_document(response);
  };
  for (const std::string& digest :
       {std::string("sha256:../../x"), "sha256:" + hex.substr(1), "sha256:" + hex + "a",
        "sha256:" + std::string(64, 'A'), "SHA256:" + hex, "sha256:" + hex + "%0a",
        "sha256:%2e%2e" + hex.substr(2), std::string("md5:00"), "sha1:" + hex, std::string(":"), "a+b:" + hex,
        "sha512:" + hex}) {
    INFO(digest);
    CHECK(refused(api.request("GET", "/v2/a/blobs/" + digest)));
    CHECK(refused(api.request("GET", "/v2/a/manifests/" + digest)));
    CHECK(refused(api.request("GET", "/v2/a/referrers/" + digest)));
    CHECK(refused(api.request("POST", "/v2/a/blobs/uploads/?mount=" + digest)));
    CHECK(refused(api.request("PUT", begin(api) + "?digest=" + digest)));
    CHECK(refused(api.put_manifest("a", digest, manifest)));
  }
}

TEST_CASE("G01: an upload's id is 128 random bits, and worth nothing in another repository",
          "[registry][server]") {
  const test::TempStore temp;
  test::RegistryApi api(temp.store, 1000);
  std::set<std::string> ids;
  for (int i = 0; i < 200; ++i) {
    const std::string place = begin(api);
    const std::string id = place.substr(place.rfind('/') + 1);
    CHECK(id.size() == 32);
    CHECK(id.find_first_not_of("0123456789abcdef") == std::string::npos);
    ids.insert(id);
  }
  CHECK(ids.size() == 200);
  for (const char* method : {"GET", "PATCH", "PUT", "DELETE"})
    CHECK(api.request(method, "/v2/b/blobs/uploads/" + *ids.begin() + "?digest=" + kDigest).status == 404);
}

TEST_CASE("G03: a manifest that is refused leaves nothing", "[registry][server]") {
  const test::TempStore temp;
  test::RegistryApi api(temp.store);
  const std::string manifest = api.push_parts("a");
  const std::string foreign = api.push_parts("b", "other");  // its config is in b alone
  const std::string absent =
      R"({"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":")" + kDigest + R"(","size":1})";
  const std::size_t blobs = temp.store.blobs().list().size();
  Json wrong_size = parse_json(manifest, "manifest")["config"];
  wrong_size["size"] = 1;
  for (const std::string& bad :
       {std::string("{"), std::string(kMaxJsonBytes + 1, ' '), manifest + " {}", foreign,
        changed(manifest, {{"manifests", Json::array()}}), changed(manifest, {{"schemaVersion", 1}}),
        changed(manifest, {{"mediaType", layerstore::media_type::kIndex}}),
        changed(manifest, {{"layers", Json::array({parse_json(absent, "layer")})}}),
        changed(manifest, {{"config", wrong_size}})}) {
    INFO(bad.substr(0, 200));
    const Response response = api.put_manifest("a", "tag", bad);
    CHECK(response.status >= 400);
    CHECK(response.status < 500);
    CHECK(is_error_document(response));
  }
  CHECK(api.put_manifest("a", kDigest, manifest).status == 400);
  CHECK(api.request("PUT", "/v2/a/manifests/tag", manifest, std::string(layerstore::media_type::kIndex))
            .status == 400);
  CHECK(temp.store.blobs().list().size() == blobs);
  CHECK(api.registry.repositories.manifests("a").empty());
  CHECK(api.request("GET", "/v2/a/manifests/tag").status == 404);
  CHECK(temp.store.images().list().empty());
}

TEST_CASE("G05: an upload has one writer, ends once, and holds what its digest says", "[registry][server]") {
  const test::TempStore temp;
  test::RegistryApi api(temp.store);
  const std::string place = begin(api);
  const std::string digest = layerstore::digest_of("bytes").to_string();
  {
    const server::UploadClaim other = api.registry.uploads.claim(place.substr(place.rfind('/') + 1), "a");
    for (const char* method : {"PATCH", "PUT", "DELETE"})
      CHECK(api.request(method, place + "?digest=" + digest, "x").status == 409);
  }
  CHECK(api.request("PUT", place + "?digest=" + digest, "bytes").status == 201);
  for (const char* method : {"GET", "PATCH", "PUT", "DELETE"})
    CHECK(api.request(method, place + "?digest=" + digest, "more").status == 404);
  CHECK(api.request("PUT", begin(api) + "?digest=" + kDigest, "bytes").status == 400);
  CHECK(api.request("GET", "/v2/a/blobs/" + kDigest).status == 404);
  CHECK(api.registry.uploads.count() == 0);
}

TEST_CASE("G05: uploads that nobody goes on with are swept, those in use are not", "[registry][server]") {
  const test::TempStore temp;
  test::RegistryApi api(temp.store);
  const std::string abandoned = begin(api);
  const std::string used = begin(api);
  api.request("PATCH", abandoned, "bytes");
  const server::UploadClaim claim = api.registry.uploads.claim(used.substr(used.rfind('/') + 1), "a");
  CHECK(api.registry.uploads.sweep(std::chrono::hours(1)) == 0);
  CHECK(api.registry.uploads.sweep(std::chrono::seconds(0)) == 1);
  CHECK(api.request("GET", abandoned).status == 404);
  CHECK(api.request("GET", used).status == 204);
}

TEST_CASE("G07: what a client sent is never a document of this host for a browser", "[registry][server]") {
  const test::TempStore temp;
  test::RegistryApi api(temp.store);
  const auto blob = api.push_blob("a", "<script>", "text/html");
  const Response response = api.request("GET", "/v2/a/blobs/" + blob.digest.to_string());
  CHECK(header_of(response, "Content-Type") == "application/octet-stream");
  for (const auto& [name, value] : response.headers) CHECK(!name.starts_with("Access-Control-"));
}

}  // namespace lay::registry
