#include "chunked/kept_parts.h"

#include <catch2/catch.hpp>

#include "base/error.h"
#include "store_support.h"

namespace lay::test {

namespace {

using layerstore::BlobPart;
using layerstore::Descriptor;
using layerstore::KeptParts;

/// A blob in memory that breaks off after some bytes.
class BreakingSource final : public layerstore::PartSource {
 public:
  explicit BreakingSource(std::string blob, std::uint64_t lasts = UINT64_MAX)
      : blob_(std::move(blob)), lasts_(lasts) {}
  void fetch(const BlobPart& part, ByteSink& out) override {
    asked.push_back(part);
    const std::uint64_t size = std::min(part.size, lasts_);
    out.write(std::as_bytes(std::span(blob_)).subspan(part.offset, size));
    lasts_ -= size;
    if (size < part.size) throw Error(Errc::unavailable, "broke off");
  }
  void expect(std::vector<BlobPart> parts) override { expected = std::move(parts); }
  void mend() { lasts_ = UINT64_MAX; }

  std::vector<BlobPart> asked;
  std::vector<BlobPart> expected;

 private:
  std::string blob_;
  std::uint64_t lasts_;
};

std::string make_blob() {
  std::string blob;
  for (int i = 0; blob.size() < 400000; ++i) blob += std::to_string(i) + ' ';
  return blob;
}

Descriptor descriptor_of(const std::string& blob) {
  return {.media_type = "", .digest = layerstore::digest_of(blob), .size = blob.size()};
}

const BlobPart kFirst{.offset = 1000, .size = 100000};
const BlobPart kSecond{.offset = 150000, .size = 100000};

/// Fetches one part and breaks off there.
void keep_first(const TempStore& temp, const Descriptor& descriptor, BreakingSource& source) {
  KeptParts parts(source, temp.store.blobs().resume_parts(descriptor));
  StringSink out;
  parts.fetch(kFirst, out);
  parts.keep();
}

/// Of both parts, which are right, `source` is asked for what is behind the first 130,000 bytes alone.
void check_rest_is_fetched(KeptParts& parts, const BreakingSource& source, const std::string& blob) {
  parts.expect({kFirst, kSecond});
  CHECK(source.expected == std::vector<BlobPart>{{.offset = 180000, .size = 70000}});
  StringSink out;
  parts.fetch(kFirst, out);
  parts.fetch(kSecond, out);
  CHECK(out.text() == blob.substr(kFirst.offset, kFirst.size) + blob.substr(kSecond.offset, kSecond.size));
  CHECK(source.asked == source.expected);
}

}  // namespace

TEST_CASE("what was fetched before a transfer broke off is not fetched again", "[layerstore][partial]") {
  const TempStore temp;
  const std::string blob = make_blob();
  const Descriptor descriptor = descriptor_of(blob);
  BreakingSource breaking(blob, 130000);
  {
    KeptParts parts(breaking, temp.store.blobs().resume_parts(descriptor));
    StringSink out;
    parts.fetch(kFirst, out);
    CHECK_THROWS(parts.fetch(kSecond, out));
    CHECK(parts.fetched() == 130000);
    parts.keep();
  }
  CHECK(debris(temp.path()) == 1);
  BreakingSource source(blob);
  {
    KeptParts parts(source, temp.store.blobs().resume_parts(descriptor));
    check_rest_is_fetched(parts, source, blob);
    CHECK(parts.fetched() == 70000);
  }
  CHECK(debris(temp.path()) == 0);
}

TEST_CASE("who begins anew after a transfer broke off does not fetch twice either", "[layerstore][partial]") {
  const TempStore temp;
  const std::string blob = make_blob();
  BreakingSource source(blob, 130000);
  KeptParts parts(source, temp.store.blobs().resume_parts(descriptor_of(blob)));
  CHECK(parts.take_up() == 0);
  StringSink broken;
  parts.fetch(kFirst, broken);
  CHECK_THROWS(parts.fetch(kSecond, broken));
  CHECK(parts.take_up() == 130000);
  CHECK(parts.take_up() == 130000);
  source.mend();
  source.asked.clear();
  check_rest_is_fetched(parts, source, blob);
  CHECK(parts.fetched() == 200000);
}

TEST_CASE("parts are kept apart from what is kept of the whole blob, and go when they are dropped",
          "[layerstore][partial]") {
  const TempStore temp;
  const std::string blob = make_blob();
  const Descriptor descriptor = descriptor_of(blob);
  BreakingSource source(blob);
  keep_first(temp, descriptor, source);
  CHECK(temp.store.blobs().kept(descriptor) == 0);
  CHECK(temp.store.blobs().resume(descriptor).kept() == 0);
  temp.store.blobs().drop_parts(descriptor);
  CHECK(debris(temp.path()) == 0);
  temp.store.blobs().drop_parts(descriptor);
}

TEST_CASE("a list of kept parts that is damaged leads to no more than another fetch",
          "[layerstore][partial]") {
  const TempStore temp;
  const std::string blob = make_blob();
  const Descriptor descriptor = descriptor_of(blob);
  BreakingSource source(blob);
  keep_first(temp, descriptor, source);
  const std::string list = temp.path() + "/ingest/part.parts.*/list";
  const std::string spoil = "truncate -s 20 " + list + "; head -c 4096 /dev/urandom | tee -a " + list;
  REQUIRE(shell(spoil + " >/dev/null").status == 0);
  KeptParts parts(source, temp.store.blobs().resume_parts(descriptor));
  source.asked.clear();
  StringSink out;
  parts.fetch(kFirst, out);
  CHECK(out.text() == blob.substr(kFirst.offset, kFirst.size));
  CHECK(source.asked.size() == 1);
}

}  // namespace lay::test
