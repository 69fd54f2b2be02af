#include <atomic>
#include <catch2/catch.hpp>
#include <functional>
#include <future>
#include <thread>

#include "error_of.h"
#include "layerstore/media_types.h"
#include "shown_layer.h"
#include "store_support.h"

using namespace lay;
using namespace lay::layerstore;
using test::debris;
using test::error_of;
using test::shell;
using test::TempFolder;
using test::TempStore;

namespace {

/// A layer as a registry would send it.
struct SentLayer {
  std::string tar;
  std::string stored;
  Descriptor blob;
  Digest diff_id;
};

std::string compress(const std::string& text, Compression compression) {
  StringSink target;
  const auto sink = make_compressor({.compression = compression}, target);
  sink->write(std::as_bytes(std::span(text)));
  sink->finish();
  return target.text();
}

Digest sha512_of(const std::string& text) {
  Hasher hasher(DigestAlgorithm::sha512);
  hasher.update(std::as_bytes(std::span(text)));
  return hasher.finish();
}

SentLayer sent_layer(const TempFolder& folder, Compression compression) {
  test::make_tree(folder, "sent",
                  "mkdir sub; echo hello > sub/file; head -c 300000 /dev/urandom > noise; ln sub/file hard");
  const std::string tar = test::tar_of(folder.path() + "/sent");
  const std::string stored = compress(tar, compression);
  return {.tar = tar,
          .stored = stored,
          .blob = {.media_type = std::string(media_type::layer_type_of(compression)),
                   .digest = digest_of(stored),
                   .size = stored.size()},
          .diff_id = digest_of(tar)};
}

Error receive_failure(const TempStore& temp, const std::string& bytes, const SentLayer& layer) {
  StringSource source(bytes);
  return error_of([&] { receive_layer(temp.store, source, layer.blob, layer.diff_id); });
}

void check_nothing_visible(const TempStore& temp) {
  CHECK(temp.store.blobs().list().empty());
  CHECK(temp.store.layers().list().empty());
  CHECK(debris(temp.path()) == 0);
}

}  // namespace

TEST_CASE("a received layer becomes a blob and a folder ready to mount", "[layerstore][layer]") {
  for (const Compression compression : {Compression::none, Compression::gzip, Compression::zstd}) {
    CAPTURE(to_string(compression));
    const TempStore temp;
    const SentLayer layer = sent_layer(temp.folder, compression);
    StringSource source(layer.stored);
    receive_layer(temp.store, source, layer.blob, layer.diff_id);
    CHECK(temp.store.blobs().size(layer.blob.digest) == layer.blob.size);
    CHECK(temp.store.layers().list() == std::vector<Digest>{layer.diff_id});
    CHECK(test::listing(test::ShownLayer(temp.store, layer.diff_id).path()) ==
          test::listing(temp.folder.path() + "/sent"));
    CHECK(shell("stat -c %a " + temp.path() + "/layers/" + layer.diff_id.hex()).output == "700\n");
    CHECK(debris(temp.path()) == 0);
  }
}

TEST_CASE("J02: sha512 names a layer and its blob as well as sha256 does", "[layerstore][layer]") {
  const TempStore temp;
  SentLayer layer = sent_layer(temp.folder, Compression::gzip);
  layer.blob.digest = sha512_of(layer.stored);
  layer.diff_id = sha512_of(layer.tar);
  StringSource source(layer.stored);
  receive_layer(temp.store, source, layer.blob, layer.diff_id);
  CHECK(temp.store.layers().list() == std::vector<Digest>{layer.diff_id});
  temp.store.layers().remove(layer.diff_id);
  temp.store.layers().ensure(layer.diff_id, layer.blob, temp.store.blobs());
  CHECK(temp.store.layers().has(layer.diff_id));
}

TEST_CASE("a flipped bit anywhere in a received layer is told as the wrong digest", "[layerstore][layer]") {
  for (const Compression compression : {Compression::none, Compression::gzip, Compression::zstd}) {
    const TempStore temp;
    const SentLayer layer = sent_layer(temp.folder, compression);
    for (const std::size_t at : {std::size_t{30}, layer.stored.size() / 2, layer.stored.size() - 3}) {
      CAPTURE(to_string(compression), at);
      std::string damaged = layer.stored;
      damaged[at] = static_cast<char>(damaged[at] ^ 1);
      const Error error = receive_failure(temp, damaged, layer);
      CHECK(error.code() == Errc::corrupt);
      CHECK(error.message().find("got " + digest_of(damaged).to_string() + ", expected " +
                                 layer.blob.digest.to_string()) != std::string::npos);
      check_nothing_visible(temp);
    }
  }
}

TEST_CASE("a received layer that is too short or too long is told by its size", "[layerstore][layer]") {
  const TempStore temp;
  const SentLayer layer = sent_layer(temp.folder, Compression::zstd);
  const Error shorter = receive_failure(temp, layer.stored.substr(0, 1048), layer);
  CHECK(shorter.code() == Errc::corrupt);
  CHECK(shorter.message().find(fmt::format("got 1048 bytes, expected {}", layer.blob.size)) !=
        std::string::npos);
  const Error longer = receive_failure(temp, layer.stored + "x", layer);
  CHECK(longer.code() == Errc::corrupt);
  CHECK(longer.message().find(fmt::format("more than the expected {} bytes", layer.blob.size)) !=
        std::string::npos);
  check_nothing_visible(temp);
}

TEST_CASE("a stream without an end is cut off at the announced size", "[layerstore][layer]") {
  struct Endless final : ByteSource {
    std::size_t read(std::span<std::byte> out) override {
      given += out.size();
      return out.size();
    }
    std::uint64_t given = 0;
  };
  const TempStore temp;
  SentLayer layer = sent_layer(temp.folder, Compression::none);
  layer.blob.size = 4096;
  Endless endless;
  CHECK(error_of([&] { receive_layer(temp.store, endless, layer.blob, layer.diff_id); }).code() ==
        Errc::corrupt);
  CHECK(endless.given == 4097);
  check_nothing_visible(temp);
}

TEST_CASE("a received layer with another diff_id than the config says is refused", "[layerstore][layer]") {
  const TempStore temp;
  SentLayer layer = sent_layer(temp.folder, Compression::gzip);
  const Digest truth = layer.diff_id;
  layer.diff_id = layer.blob.digest;  // that of the compressed bytes, a common mistake
  const Error error = receive_failure(temp, layer.stored, layer);
  CHECK(error.code() == Errc::corrupt);
  CHECK(error.message().find("got diff_id " + truth.to_string() + ", expected " +
                             layer.blob.digest.to_string()) != std::string::npos);
  check_nothing_visible(temp);
}

TEST_CASE("a layer whose bytes are not what its media type says is refused", "[layerstore][layer]") {
  const TempStore temp;
  SentLayer layer = sent_layer(temp.folder, Compression::gzip);
  layer.blob.media_type = media_type::kLayerZstd;
  const Error error = receive_failure(temp, layer.stored, layer);
  CHECK(error.code() == Errc::invalid);
  CHECK(error.message().find("the media type says zstd, the bytes are gzip") != std::string::npos);
  check_nothing_visible(temp);
}

TEST_CASE("the sender's own failure is passed on as it is", "[layerstore][layer]") {
  struct Broken final : ByteSource {
    std::size_t read(std::span<std::byte>) override { throw Error(Errc::unavailable, "the line went dead"); }
  };
  const TempStore temp;
  const SentLayer layer = sent_layer(temp.folder, Compression::gzip);
  Broken broken;
  CHECK(error_of([&] { receive_layer(temp.store, broken, layer.blob, layer.diff_id); }).code() ==
        Errc::unavailable);
  check_nothing_visible(temp);
}

TEST_CASE("a layer that is there already only gets its missing blob", "[layerstore][layer]") {
  const TempStore temp;
  const SentLayer layer = sent_layer(temp.folder, Compression::gzip);
  StringSource first(layer.stored);
  receive_layer(temp.store, first, layer.blob, layer.diff_id);
  temp.store.blobs().remove(layer.blob.digest);
  const std::string folder = temp.path() + "/layers/" + layer.diff_id.hex();
  const std::string inode = shell("stat -c %i " + folder).output;
  StringSource second(layer.stored);
  receive_layer(temp.store, second, layer.blob, layer.diff_id);
  CHECK(temp.store.blobs().has(layer.blob.digest));
  CHECK(shell("stat -c %i " + folder).output == inode);
}

TEST_CASE("a new blob for a layer that is there already has to be that layer", "[layerstore][layer]") {
  const TempStore temp;
  const SentLayer layer = sent_layer(temp.folder, Compression::gzip);
  StringSource first(layer.stored);
  receive_layer(temp.store, first, layer.blob, layer.diff_id);
  const std::string text = compress(layer.tar + std::string(512, '\0'), Compression::gzip);  // another tar
  SentLayer liar = layer;
  liar.blob.digest = digest_of(text);
  liar.blob.size = text.size();
  CHECK(receive_failure(temp, text, liar).message().find("got diff_id") != std::string::npos);
  const std::string zstd = compress(layer.tar, Compression::zstd);
  liar.blob.digest = digest_of(zstd);
  liar.blob.size = zstd.size();
  CHECK(receive_failure(temp, zstd, liar).message().find("the media type says gzip") != std::string::npos);
  CHECK(temp.store.blobs().list() == std::vector<Digest>{layer.blob.digest});
  CHECK(debris(temp.path()) == 0);
}

TEST_CASE("a stored blob stands only for the layer that it gives", "[layerstore][layer]") {
  const TempStore temp;
  const TempFolder elsewhere;
  const SentLayer one = sent_layer(temp.folder, Compression::gzip);
  const SentLayer two = sent_layer(elsewhere, Compression::gzip);
  for (const SentLayer& layer : {one, two}) {
    StringSource source(layer.stored);
    receive_layer(temp.store, source, layer.blob, layer.diff_id);
  }
  const std::string notes = temp.path() + "/layers/" + one.diff_id.hex() + "/from.*";
  CHECK(is_layer_stored(temp.store, one.blob, one.diff_id));
  CHECK(error_of([&] { is_layer_stored(temp.store, one.blob, two.diff_id); }).code() == Errc::corrupt);
  Descriptor mislabelled = one.blob;
  mislabelled.media_type = media_type::kLayerZstd;
  CHECK(error_of([&] { is_layer_stored(temp.store, mislabelled, one.diff_id); }).code() == Errc::invalid);

  SECTION("and is inflated again where no note says which that is") {
    REQUIRE(shell("rm " + notes).status == 0);
    CHECK(error_of([&] { is_layer_stored(temp.store, one.blob, two.diff_id); }).code() == Errc::corrupt);
    CHECK(is_layer_stored(temp.store, one.blob, one.diff_id));
    CHECK(shell("ls " + notes).status == 0);
  }
  SECTION("which the layer's next copy knows as well") {
    const std::string zstd = compress(one.tar, Compression::zstd);
    SentLayer again = one;
    again.blob = Descriptor{
        .media_type = std::string(media_type::kLayerZstd), .digest = digest_of(zstd), .size = zstd.size()};
    temp.store.blobs().remove(again.blob.digest);
    LayerWriter layer = temp.store.layers().begin();
    StringSource tar(one.tar);
    layer.apply(tar);
    layer.note_blob(again.blob);
    layer.commit(one.diff_id);
    CHECK(temp.store.layers().is_from(one.diff_id, again.blob));
    CHECK(temp.store.layers().is_from(one.diff_id, one.blob));
  }
  SECTION("and for none when it is damaged") {
    const std::string file = temp.path() + "/blobs/sha256/" + one.blob.digest.hex();
    REQUIRE(shell("printf damaged! | dd of=" + file + " bs=1 seek=5000 conv=notrunc").status == 0);
    CHECK_FALSE(is_layer_stored(temp.store, one.blob, one.diff_id));
  }
}

TEST_CASE("the same layer received many times at once is there once", "[layerstore][layer]") {
  const TempStore temp;
  const SentLayer layer = sent_layer(temp.folder, Compression::zstd);
  std::vector<std::thread> receivers;
  for (int i = 0; i < 6; ++i)
    receivers.emplace_back([&] {
      StringSource source(layer.stored);
      receive_layer(temp.store, source, layer.blob, layer.diff_id);
    });
  for (std::thread& receiver : receivers) receiver.join();
  CHECK(temp.store.layers().list().size() == 1);
  CHECK(temp.store.blobs().list().size() == 1);
  CHECK(debris(temp.path()) == 0);
}

TEST_CASE("a layer that is replaced while it is opened and noted is the one or the other",
          "[layerstore][layer]") {
  const TempStore temp;
  const SentLayer sent = sent_layer(temp.folder, Compression::zstd);
  const LayerStore& layers = temp.store.layers();
  const auto make = [&] {
    LayerWriter layer = layers.begin();
    StringSource tar(sent.tar);
    layer.apply(tar);
    layer.note_blob(sent.blob);
    layer.commit(sent.diff_id);
  };
  make();
  std::atomic<int> replacing = 2;
  const auto replace = [&] {
    for (int i = 0; i < 100; ++i) make();
    --replacing;
  };
  const auto use = [&] {
    while (replacing > 0) {
      layers.note_blob(sent.diff_id, sent.blob);
      layers.open(sent.diff_id);
    }
  };
  std::vector<std::future<void>> all;
  for (const std::function<void()>& part : {std::function<void()>(replace), {replace}, {use}, {use}})
    all.push_back(std::async(std::launch::async, part));
  for (std::future<void>& part : all) CHECK_NOTHROW(part.get());
  CHECK(layers.is_from(sent.diff_id, sent.blob));
  CHECK(debris(temp.path()) == 0);
}

TEST_CASE("a layer is made again from its blob, which is verified on the way", "[layerstore][layer]") {
  const TempStore temp;
  const SentLayer layer = sent_layer(temp.folder, Compression::gzip);
  StringSource source(layer.stored);
  receive_layer(temp.store, source, layer.blob, layer.diff_id);
  temp.store.layers().remove(layer.diff_id);
  CHECK(error_of([&] { temp.store.layers().open(layer.diff_id); }).code() == Errc::not_found);
  temp.store.layers().ensure(layer.diff_id, layer.blob, temp.store.blobs());
  CHECK(test::listing(test::ShownLayer(temp.store, layer.diff_id).path()) ==
        test::listing(temp.folder.path() + "/sent"));

  temp.store.layers().remove(layer.diff_id);
  const std::string file = temp.path() + "/blobs/sha256/" + layer.blob.digest.hex();
  REQUIRE(shell("printf damaged! | dd of=" + file + " bs=1 seek=5000 conv=notrunc").status == 0);
  const Error error =
      error_of([&] { temp.store.layers().ensure(layer.diff_id, layer.blob, temp.store.blobs()); });
  CHECK(error.code() == Errc::corrupt);
  CHECK(error.message().find(file) != std::string::npos);
  CHECK(error.message().find("expected " + layer.blob.digest.to_string()) != std::string::npos);
  CHECK_FALSE(error.hint().empty());
  CHECK_FALSE(temp.store.layers().has(layer.diff_id));

  // What the hint says heals it.
  REQUIRE(shell("rm " + file).status == 0);
  StringSource again(layer.stored);
  receive_layer(temp.store, again, layer.blob, layer.diff_id);
  CHECK(temp.store.layers().has(layer.diff_id));
}

TEST_CASE("a layer is removed as a whole, and removing it again is no failure", "[layerstore][layer]") {
  const TempStore temp;
  const SentLayer layer = sent_layer(temp.folder, Compression::none);
  StringSource source(layer.stored);
  receive_layer(temp.store, source, layer.blob, layer.diff_id);
  temp.store.layers().remove(layer.diff_id);
  temp.store.layers().remove(layer.diff_id);
  CHECK(temp.store.layers().list().empty());
  CHECK(debris(temp.path()) == 0);
}

TEST_CASE("a full disk while a layer is received leaves the store as it was", "[layerstore][layer]") {
  const test::SmallDisk disk("1m");
  const TempFolder elsewhere;
  const SentLayer layer = sent_layer(elsewhere, Compression::zstd);
  const Store store = Store::open(disk.path() + "/root");
  const std::string filler = "head -c 500000 /dev/zero > " + disk.path() + "/filler";
  REQUIRE(shell(filler).status == 0);
  StringSource source(layer.stored);
  CHECK(error_of([&] { receive_layer(store, source, layer.blob, layer.diff_id); }).code() == Errc::no_space);
  CHECK(store.blobs().list().empty());
  CHECK(store.layers().list().empty());
  CHECK(debris(store.path()) == 0);
  REQUIRE(shell("rm " + disk.path() + "/filler").status == 0);
  StringSource again(layer.stored);
  receive_layer(store, again, layer.blob, layer.diff_id);
  CHECK(store.layers().has(layer.diff_id));
}
