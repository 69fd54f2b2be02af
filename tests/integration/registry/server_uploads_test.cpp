#include "registry_api.h"
#include "store_support.h"

namespace lay::registry {

namespace {

using server::Response;

std::string header_of(const Response& response, const std::string& name) {
  for (const auto& [key, value] : response.headers)
    if (key == name) return value;
  return "";
}

std::string begin(test::RegistryApi& api) {
  const Response response = api.request("POST", "/v2/a/blobs/uploads/");
  REQUIRE(response.status == 202);
  return header_of(response, "Location");
}

/// A chunk whose length is not known before its end, as with Transfer-Encoding: chunked.
Response send_stream(test::RegistryApi& api, const std::string& method, const std::string& target,
                     const std::string& range, const std::string& body) {
  server::Request request{.method = method, .target = server::parse_request_target(target)};
  request.content_range = range;
  return api.answer(request, body);
}

}  // namespace

TEST_CASE("G05: a chunk whose Content-Range is not what comes next gets 416 and the place to go on from",
          "[registry][server]") {
  const test::TempStore temp;
  test::RegistryApi api(temp.store);
  const std::string place = begin(api);
  const std::string whole = "0123456789";
  const std::string final_place = place + "?digest=" + layerstore::digest_of(whole).to_string();
  CHECK(api.request("PATCH", place, whole.substr(0, 5), "", "0-4").status == 202);
  struct Case {
    std::string range;
    std::string body;
  };
  // a gap, an overlap, bytes again, more than announced, fewer
  for (const auto& [range, body] : {Case{"6-9", "6789"}, Case{"4-9", "456789"}, Case{"0-4", "01234"},
                                    Case{"5-6", "56789"}, Case{"5-9", "56"}})
    for (const auto& [method, target] : {std::pair{"PATCH", place}, std::pair{"PUT", final_place}}) {
      INFO(method << ' ' << range);
      const Response refused = api.request(method, target, body, "", range);
      CHECK(refused.status == 416);
      CHECK(header_of(refused, "Range") == "0-4");
      CHECK(header_of(refused, "Location") == place);
    }
  for (const char* range : {"-1-3", "9-5", "5", "x", "5-99999999999999999999"})
    CHECK(api.request("PATCH", place, "5", "", range).status == 400);
  CHECK(header_of(api.request("GET", place), "Range") == "0-4");
  CHECK(api.request("PUT", final_place, whole.substr(5), "", "5-9").status == 201);
}

TEST_CASE("G05: a chunk without a length is held to its Content-Range as it arrives", "[registry][server]") {
  const test::TempStore temp;
  test::RegistryApi api(temp.store);
  const std::string place = begin(api);
  CHECK(send_stream(api, "PATCH", place, "0-4", "0123456789").status == 416);
  CHECK(header_of(api.request("GET", place), "Range") == "0-0");
  const Response fewer = send_stream(api, "PATCH", place, "0-9", "01234");
  CHECK(fewer.status == 416);
  CHECK(header_of(fewer, "Range") == "0-4");
  const std::string final_place = place + "?digest=" + layerstore::digest_of("01234567").to_string();
  CHECK(send_stream(api, "PUT", final_place, "5-9", "567").status == 416);  // the upload is not ended by it
  CHECK(header_of(api.request("GET", place), "Range") == "0-7");
  CHECK(api.request("PUT", final_place).status == 201);
}

TEST_CASE("when too many uploads are open, the one that holds nothing and was idle longest gives way",
          "[registry][server]") {
  const test::TempStore temp;
  sys::try_mkdir_at(sys::cwd(), temp.path() + "/registry", 0700);
  const UniqueFd folder = sys::open_dir(sys::cwd(), temp.path() + "/registry");
  const auto algorithm = layerstore::DigestAlgorithm::sha256;
  const std::string text = "x";
  server::Uploads uploads(folder, 3, std::chrono::seconds(0));
  const std::string holding = [&] {
    const server::UploadClaim claim = uploads.begin("a", algorithm);
    claim->write(std::as_bytes(std::span(text)));
    return claim->id();
  }();
  const std::string oldest = uploads.begin("a", algorithm)->id();
  const std::string newer = uploads.begin("a", algorithm)->id();
  const std::string fourth = uploads.begin("a", algorithm)->id();
  CHECK(uploads.count() == 3);
  CHECK_THROWS_AS(uploads.size_of(oldest, "a"), server::Refusal);
  CHECK(uploads.size_of(holding, "a") == 1);
  CHECK(uploads.size_of(newer, "a") == 0);
  CHECK(uploads.size_of(fourth, "a") == 0);

  // Not before its time, and never one that is being written to
  server::Uploads patient(folder, 3, std::chrono::seconds(3600));
  CHECK_THROWS_AS(patient.begin("a", algorithm), server::Refusal);
  const server::UploadClaim first = uploads.claim(newer, "a");
  const server::UploadClaim second = uploads.claim(fourth, "a");
  CHECK_THROWS_AS(uploads.begin("a", algorithm), server::Refusal);
}

TEST_CASE("uploads that were only begun when the server ended give way to others too", "[registry][server]") {
  const test::TempFolder folder;
  const auto algorithm = layerstore::DigestAlgorithm::sha256;
  const std::string text = "x";
  std::string holding;
  {
    server::Uploads before(folder.fd(), 3, std::chrono::seconds(0));
    const server::UploadClaim claim = before.begin("a", algorithm);
    claim->write(std::as_bytes(std::span(text)));
    holding = claim->id();
    before.begin("a", algorithm);
    before.begin("a", algorithm);
  }
  server::Uploads uploads(folder.fd(), 3, std::chrono::seconds(0));
  const server::UploadClaim first = uploads.begin("b", algorithm);
  const server::UploadClaim second = uploads.begin("b", algorithm);
  CHECK_THROWS_AS(uploads.begin("b", algorithm), server::Refusal);
  CHECK(uploads.count() == 3);
  CHECK(uploads.size_of(holding, "a") == 1);
}

}  // namespace lay::registry
