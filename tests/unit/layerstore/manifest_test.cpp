#include "layerstore/manifest.h"

#include <catch2/catch.hpp>

#include "error_of.h"
#include "layerstore/media_types.h"
#include "layerstore/platform_rank.h"

using namespace lay;
using namespace lay::layerstore;
using test::error_of;

namespace {

const std::string kDigest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const std::string kOther = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

Json descriptor_json(std::string_view type, const std::string& digest = kDigest) {
  return Json{{"mediaType", type}, {"digest", digest}, {"size", 7}};
}

Json manifest_json() {
  return Json{{"schemaVersion", 2},
              {"mediaType", media_type::kManifest},
              {"config", descriptor_json(media_type::kConfig)},
              {"layers", Json::array({descriptor_json(media_type::kLayerZstd, kOther)})}};
}

Json index_json() {
  Json entry = descriptor_json(media_type::kManifest);
  entry["platform"] = {{"os", "linux"}, {"architecture", "amd64"}};
  return Json{{"schemaVersion", 2}, {"mediaType", media_type::kIndex}, {"manifests", Json::array({entry})}};
}

Json changed(Json json, const char* pointer, const Json& value) {
  json[Json::json_pointer(pointer)] = value;
  return json;
}

Json removed(Json json, const char* pointer) {
  return json.patch(Json::array({{{"op", "remove"}, {"path", pointer}}}));
}

Errc manifest_failure(const Json& json) {
  return error_of([&] { parse_manifest(json.dump()); }).code();
}

}  // namespace

TEST_CASE("a manifest is read, and written again with the same meaning", "[layerstore][manifest]") {
  Json json = manifest_json();
  json["annotations"] = {{"a", "b"}};
  const Manifest manifest = parse_manifest(json.dump());
  CHECK(manifest.media_type == media_type::kManifest);
  CHECK(manifest.config.media_type == media_type::kConfig);
  REQUIRE(manifest.layers.size() == 1);
  CHECK(manifest.layers[0].digest.to_string() == kOther);
  CHECK(manifest.layers[0].size == 7);
  CHECK(manifest.annotations.at("a") == "b");
  CHECK(Json::parse(write_manifest(manifest)) == json);
}

TEST_CASE("a Docker schema 2 manifest keeps its own media type", "[layerstore][manifest]") {
  Json json = changed(manifest_json(), "/mediaType", media_type::kDockerManifest);
  json["config"]["mediaType"] = media_type::kDockerConfig;
  json["layers"][0]["mediaType"] = media_type::kDockerLayerGzip;
  const Manifest manifest = parse_manifest(json.dump());
  CHECK(manifest.media_type == media_type::kDockerManifest);
  CHECK(media_type::compression_of(manifest.layers[0].media_type) == Compression::gzip);
  CHECK(classify_document(json.dump(), media_type::kDockerManifest) == DocumentKind::manifest);
}

TEST_CASE("a manifest that breaks the specification is refused", "[layerstore][manifest]") {
  const Json good = manifest_json();
  CHECK(manifest_failure(removed(good, "/schemaVersion")) == Errc::invalid);
  CHECK(manifest_failure(changed(good, "/schemaVersion", 1)) == Errc::invalid);
  CHECK(manifest_failure(changed(good, "/schemaVersion", 3)) == Errc::invalid);
  CHECK(manifest_failure(changed(good, "/schemaVersion", "2")) == Errc::invalid);
  CHECK(manifest_failure(changed(good, "/mediaType", media_type::kIndex)) == Errc::invalid);
  CHECK(manifest_failure(changed(good, "/mediaType", 7)) == Errc::invalid);
  CHECK(manifest_failure(removed(good, "/config")) == Errc::invalid);
  CHECK(manifest_failure(removed(good, "/layers")) == Errc::invalid);
  CHECK(manifest_failure(changed(good, "/config", "text")) == Errc::invalid);
  CHECK(manifest_failure(changed(good, "/layers", Json::object())) == Errc::invalid);
  CHECK(manifest_failure(changed(good, "/layers", Json::array({1}))) == Errc::invalid);
  CHECK(manifest_failure(changed(good, "/annotations", Json{{"a", 1}})) == Errc::invalid);
  CHECK(manifest_failure(changed(good, "/annotations", "a")) == Errc::invalid);
  CHECK(manifest_failure(Json::array()) == Errc::invalid);
}

TEST_CASE("a manifest of docker's becomes one of OCI's, with its foreign layers", "[layerstore][manifest]") {
  const std::string docker = "application/vnd.docker.image.rootfs.";
  const std::string oci = "application/vnd.oci.image.layer.";
  Manifest manifest{
      .media_type = std::string(media_type::kDockerManifest),
      .config = {
          .media_type = std::string(media_type::kDockerConfig), .digest = digest_of("config"), .size = 6}};
  for (const char* type : {"diff.tar.gzip", "foreign.diff.tar.gzip", "foreign.diff.tar"})
    manifest.layers.push_back({.media_type = docker + type, .digest = digest_of(type), .size = 1});
  const Manifest made = with_oci_types(manifest);
  CHECK(made.media_type == media_type::kManifest);
  CHECK(made.config.media_type == media_type::kConfig);
  CHECK(made.layers.at(0).media_type == oci + "v1.tar+gzip");
  CHECK(made.layers.at(1).media_type == oci + "nondistributable.v1.tar+gzip");
  CHECK(made.layers.at(2).media_type == oci + "nondistributable.v1.tar");
}

TEST_CASE("J05: a document that could be read as manifest and as index is neither",
          "[layerstore][manifest]") {
  const Json both = changed(manifest_json(), "/manifests", index_json()["manifests"]);
  CHECK(manifest_failure(both) == Errc::invalid);
  CHECK(error_of([&] { parse_index(both.dump()); }).code() == Errc::invalid);
  CHECK(error_of([&] { classify_document(both.dump(), media_type::kManifest); }).code() == Errc::invalid);
  CHECK(error_of([&] { classify_document(both.dump(), ""); }).code() == Errc::invalid);
  const Json with_layers = changed(index_json(), "/layers", Json::array());
  CHECK(error_of([&] { parse_index(with_layers.dump()); }).code() == Errc::invalid);
  CHECK(error_of([] { classify_document(R"({"schemaVersion":2})", media_type::kIndex); }).code() ==
        Errc::invalid);
}

TEST_CASE("J05: the announced media type and the document must agree", "[layerstore][manifest]") {
  const std::string manifest = manifest_json().dump();
  const std::string index = index_json().dump();
  CHECK(classify_document(manifest, media_type::kManifest) == DocumentKind::manifest);
  CHECK(classify_document(index, media_type::kIndex) == DocumentKind::index);
  CHECK(classify_document(manifest, "") == DocumentKind::manifest);
  CHECK(classify_document(manifest, "application/json; charset=utf-8") == DocumentKind::manifest);
  CHECK(classify_document(manifest, std::string(media_type::kManifest) + "; charset=utf-8") ==
        DocumentKind::manifest);
  for (const std::string_view type :
       {media_type::kIndex, media_type::kDockerManifest, media_type::kConfig,
        std::string_view("application/vnd.docker.distribution.manifest.v1+json"),
        std::string_view("text/html")})
    CHECK(error_of([&] { classify_document(manifest, type); }).code() == Errc::invalid);
  const std::string untyped = removed(manifest_json(), "/mediaType").dump();
  CHECK(classify_document(untyped, media_type::kManifest) == DocumentKind::manifest);
  CHECK(error_of([&] { classify_document(untyped, media_type::kIndex); }).code() == Errc::invalid);
}

TEST_CASE("J05: a schema 1 manifest is refused by name", "[layerstore][manifest]") {
  const char* schema1 =
      R"({"schemaVersion":1,"name":"a","tag":"b","fsLayers":[{"blobSum":"x"}],"history":[]})";
  const Error error = error_of([&] { classify_document(schema1, ""); });
  CHECK(error.message().find("schema 1") != std::string::npos);
}

TEST_CASE("J08: what is no JSON document of a sane shape is refused", "[layerstore][manifest]") {
  const std::string good = manifest_json().dump();
  for (const std::string& text :
       {std::string(), std::string("null"), std::string("[]"), "\xef\xbb\xbf" + good, good + "{}", good + "x",
        good.substr(0, good.size() - 1), "// comment\n" + good, good + std::string(1, '\0'),
        good + std::string(1, '\0') + "x", std::string(100'000, '['),
        "{\"a\":" + std::string(4 * 1024 * 1024, ' ') + "1}",
        std::string(R"({"schemaVersion":2,"a":"\ud800"})"),
        std::string("{\"schemaVersion\":2,\"a\":\"\xff\"}")}) {
    CAPTURE(text.substr(0, 60));
    CHECK(error_of([&] { parse_manifest(text); }).code() == Errc::invalid);
    CHECK(error_of([&] { classify_document(text, ""); }).code() == Errc::invalid);
  }
}

TEST_CASE("J08: a descriptor's size is a whole number that every JSON reader keeps exactly",
          "[layerstore][manifest]") {
  const auto parse = [](const std::string& size) {
    const std::string text = R"({"mediaType":"a/b","digest":")" + kDigest + R"(","size":)" + size + "}";
    return parse_descriptor(parse_json(text, "descriptor")).size;
  };
  CHECK(parse("0") == 0);
  CHECK(parse("9007199254740992") == std::uint64_t{1} << 53U);
  for (const char* size : {"-0", "-1", "1.5", "1.0", "1e3", "1e400", "9007199254740993",
                           "18446744073709551616", "\"123\"", "null", "true", "[]", "NaN", "0x10", "01"}) {
    CAPTURE(size);
    CHECK(error_of([&] { parse(size); }).code() == Errc::invalid);
  }
}

TEST_CASE("a descriptor with a malformed media type, digest or platform is refused",
          "[layerstore][manifest]") {
  const auto failure = [](const char* pointer, const Json& value) {
    return error_of([&] { parse_descriptor(changed(descriptor_json("a/b"), pointer, value)); }).code();
  };
  for (const char* type : {"", "a", "a/", "/b", "a/b/c", "a b/c", "a/b\n", ".a/b", "a/\u00e9"}) {
    CAPTURE(type);
    CHECK(failure("/mediaType", type) == Errc::invalid);
  }
  CHECK(failure("/mediaType", "a/" + std::string(128, 'b')) == Errc::invalid);
  CHECK(failure("/digest", "sha256:../../x") == Errc::invalid);
  CHECK(failure("/digest", 7) == Errc::invalid);
  CHECK(failure("/digest", "sha1:da39a3ee5e6b4b0d3255bfef95601890afd80709") == Errc::unsupported);
  CHECK(failure("/platform", "linux") == Errc::invalid);
  CHECK(failure("/platform", Json{{"os", "linux"}}) == Errc::invalid);
  CHECK(error_of([] { parse_descriptor(Json::array()); }).code() == Errc::invalid);
}

TEST_CASE("J10: layers and index entries have a limit", "[layerstore][manifest]") {
  Json many = manifest_json();
  many["layers"] = Json(std::vector<Json>(kMaxLayers, descriptor_json(media_type::kLayer)));
  CHECK(parse_manifest(many.dump()).layers.size() == kMaxLayers);
  many["layers"].push_back(descriptor_json(media_type::kLayer));
  CHECK(manifest_failure(many) == Errc::invalid);

  Json index = index_json();
  index["manifests"] = Json(std::vector<Json>(kMaxIndexEntries + 1, descriptor_json(media_type::kManifest)));
  CHECK(error_of([&] { parse_index(index.dump()); }).code() == Errc::invalid);
}

TEST_CASE("J05: one digest cannot be listed as two things", "[layerstore][manifest]") {
  Json index = index_json();
  index["manifests"].push_back(descriptor_json(media_type::kIndex));
  CHECK(error_of([&] { parse_index(index.dump()); }).code() == Errc::invalid);
  Json manifest = manifest_json();
  manifest["layers"].push_back(changed(descriptor_json(media_type::kLayerZstd, kOther), "/size", 8));
  CHECK(manifest_failure(manifest) == Errc::invalid);
}

TEST_CASE("J10: the entry that fits the platform best is chosen, never one of another machine",
          "[layerstore][manifest]") {
  const auto entry = [](const std::string& digest, const char* platform) {
    Descriptor result = parse_descriptor(descriptor_json(media_type::kManifest, digest));
    if (platform != nullptr) result.platform = parse_platform(platform);
    return result;
  };
  const Index index{.media_type = std::string(media_type::kIndex),
                    .manifests = {entry(kDigest, nullptr), entry(kDigest, "linux/arm/v6"),
                                  entry(kOther, "linux/arm/v7"), entry(kOther, "linux/amd64"),
                                  entry(kDigest, "linux/amd64"), entry(kDigest, "linux/arm64/v8")}};
  CHECK(choose_platform(index, parse_platform("linux/amd64")).digest.to_string() == kOther);
  CHECK(choose_platform(index, parse_platform("linux/arm/v7")).digest.to_string() == kOther);
  CHECK(choose_platform(index, parse_platform("linux/arm")).digest.to_string() == kOther);
  CHECK(choose_platform(index, parse_platform("linux/arm/v6")).digest.to_string() == kDigest);
  CHECK(choose_platform(index, parse_platform("linux/arm/v8")).digest.to_string() == kOther);
  CHECK(error_of([&] { choose_platform(index, parse_platform("linux/arm/v5")); }).code() == Errc::not_found);
  CHECK(choose_platform(index, parse_platform("linux/amd64/v2")).digest.to_string() == kOther);
  CHECK(choose_platform(index, parse_platform("linux/amd64/other")).digest.to_string() == kOther);
  CHECK(choose_platform(index, parse_platform("linux/arm64")).digest.to_string() == kDigest);
  const Error error = error_of([&] { choose_platform(index, parse_platform("linux/s390x")); });
  CHECK(error.code() == Errc::not_found);
  CHECK(error.message().find("linux/arm64/v8") != std::string::npos);
}

TEST_CASE("a machine runs what is for lower variants of it", "[layerstore][manifest]") {
  const auto fits = [](const char* offered, const char* wanted) {
    return platform_rank(parse_platform(offered), parse_platform(wanted)).has_value();
  };
  CHECK(fits("linux/amd64", "linux/amd64/v2"));
  CHECK(fits("linux/arm/v6", "linux/arm/v7"));
  CHECK(fits("linux/arm64/v8", "linux/arm64"));
  CHECK_FALSE(fits("linux/amd64/v3", "linux/amd64/v2"));
  CHECK_FALSE(fits("linux/arm64", "linux/amd64"));
}

TEST_CASE("of an index that names no platform at all the first entry is chosen, whose config tells its own",
          "[layerstore][manifest]") {
  const Descriptor first = parse_descriptor(descriptor_json(media_type::kManifest, kOther));
  const Descriptor second = parse_descriptor(descriptor_json(media_type::kManifest, kDigest));
  const Index index{.media_type = std::string(media_type::kIndex), .manifests = {first, second}};
  CHECK(choose_platform(index, parse_platform("linux/s390x")).digest == first.digest);
  const Index empty{.media_type = std::string(media_type::kIndex)};
  CHECK(error_of([&] { choose_platform(empty, parse_platform("linux/amd64")); }).code() == Errc::not_found);
}

TEST_CASE("a platform is two or three words, with the names that people use for machines",
          "[layerstore][manifest]") {
  CHECK(to_string(parse_platform("linux/amd64")) == "linux/amd64");
  CHECK(to_string(parse_platform("Linux/x86_64")) == "linux/amd64");
  CHECK(to_string(parse_platform("linux/aarch64")) == "linux/arm64");
  CHECK(to_string(parse_platform("linux/armv7l")) == "linux/arm/v7");
  CHECK(to_string(parse_platform("linux/arm64/v8")) == "linux/arm64/v8");
  CHECK(host_platform().os == "linux");
  for (const char* text :
       {"", "linux", "linux/", "/amd64", "linux/a/b/c", "linux/a b", "linux/../x", "li\nnux/x"})
    CHECK(error_of([&] { parse_platform(text); }).code() == Errc::invalid);
}

TEST_CASE("layers of other kinds are refused by what they are", "[layerstore][manifest]") {
  CHECK(media_type::compression_of(media_type::kLayer) == Compression::none);
  CHECK(media_type::compression_of(media_type::kLayerGzip) == Compression::gzip);
  CHECK(media_type::compression_of(media_type::kLayerZstd) == Compression::zstd);
  for (const char* type : {"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
                           "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
                           "application/vnd.oci.image.layer.v1.tar+gzip+encrypted",
                           "application/vnd.oci.image.layer.v1.tar+xz", "text/plain", ""})
    CHECK(error_of([&] { media_type::compression_of(type); }).code() == Errc::unsupported);
}
