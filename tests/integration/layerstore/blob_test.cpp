#include <sys/wait.h>

#include <catch2/catch.hpp>
#include <thread>

#include "base/syscalls.h"
#include "error_of.h"
#include "store_support.h"

using namespace lay;
using namespace lay::layerstore;
using test::debris;
using test::error_of;
using test::shell;
using test::TempStore;

namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

Descriptor described(std::string_view text) {
  return {.media_type = "text/plain", .digest = digest_of(text), .size = text.size()};
}

std::string file_of(const TempStore& temp, const Digest& digest) {
  return temp.path() + "/blobs/" + digest.algorithm_name() + "/" + digest.hex();
}

}  // namespace

TEST_CASE("a committed blob is there under its digest, read-only, and nothing else is left",
          "[layerstore][blob]") {
  const TempStore temp;
  BlobWriter writer = temp.store.blobs().begin();
  writer.write(bytes_of("hel"));
  writer.write(bytes_of("lo"));
  CHECK_FALSE(temp.store.blobs().has(digest_of("hello")));
  CHECK(writer.commit(described("hello")) == digest_of("hello"));
  CHECK(temp.store.blobs().read(digest_of("hello")) == "hello");
  CHECK(temp.store.blobs().size(digest_of("hello")) == 5);
  CHECK(shell("stat -c %a " + file_of(temp, digest_of("hello"))).output == "400\n");
  CHECK(temp.store.blobs().list() == std::vector<Digest>{digest_of("hello")});
}

TEST_CASE("a blob that is not what was expected never becomes visible", "[layerstore][blob]") {
  const TempStore temp;
  {
    BlobWriter writer = temp.store.blobs().begin();
    writer.write(bytes_of("hellO"));
    const Error error = error_of([&] { writer.commit(described("hello")); });
    CHECK(error.code() == Errc::corrupt);
    CHECK(error.message() ==
          "blob: got " + digest_of("hellO").to_string() + ", expected " + digest_of("hello").to_string());
  }
  {
    BlobWriter writer = temp.store.blobs().begin();
    writer.write(bytes_of("hell"));
    const Error error = error_of([&] { writer.commit(described("hello")); });
    CHECK(error.code() == Errc::corrupt);
    CHECK(error.message().find("got 4 bytes, expected 5") != std::string::npos);
  }
  CHECK(temp.store.blobs().list().empty());
  CHECK(debris(temp.path()) == 0);
}

TEST_CASE("a blob that is given up vanishes", "[layerstore][blob]") {
  const TempStore temp;
  {
    BlobWriter writer = temp.store.blobs().begin();
    writer.write(bytes_of("half"));
    CHECK(debris(temp.path()) == 1);
  }
  CHECK(debris(temp.path()) == 0);
}

TEST_CASE("sha512 blobs live beside the sha256 ones", "[layerstore][blob]") {
  const TempStore temp;
  BlobWriter writer = temp.store.blobs().begin(DigestAlgorithm::sha512);
  writer.write(bytes_of("abc"));
  const Digest digest = writer.commit();
  CHECK(digest.algorithm() == DigestAlgorithm::sha512);
  CHECK(temp.store.blobs().read(digest) == "abc");
  CHECK(temp.store.blobs().list() == std::vector<Digest>{digest});
  temp.store.blobs().remove(digest);
  CHECK_FALSE(temp.store.blobs().has(digest));
}

TEST_CASE("writers of the same blob at the same time all succeed", "[layerstore][blob]") {
  const TempStore temp;
  const std::string content(3'000'000, 'x');
  std::vector<std::thread> writers;
  for (int i = 0; i < 8; ++i)
    writers.emplace_back([&] {
      for (int round = 0; round < 5; ++round) {
        BlobWriter writer = temp.store.blobs().begin();
        writer.write(bytes_of(content));
        writer.commit(described(content));
      }
    });
  for (std::thread& writer : writers) writer.join();
  CHECK(temp.store.blobs().list().size() == 1);
  CHECK(temp.store.blobs().read(digest_of(content)) == content);
  CHECK(debris(temp.path()) == 0);
}

TEST_CASE("a damaged blob is told with what was got and expected, and storing it again heals it",
          "[layerstore][blob]") {
  const TempStore temp;
  const Descriptor blob = temp.store.blobs().put("hello", "text/plain");
  REQUIRE(shell("printf hellO > " + file_of(temp, blob.digest)).status == 0);
  const Error error = error_of([&] { temp.store.blobs().read(blob.digest); });
  CHECK(error.code() == Errc::corrupt);
  CHECK(error.message().find("got " + digest_of("hellO").to_string() + ", expected " +
                             blob.digest.to_string()) != std::string::npos);
  CHECK_FALSE(error.hint().empty());
  temp.store.blobs().put("hello", "text/plain");
  CHECK(temp.store.blobs().read(blob.digest) == "hello");
}

TEST_CASE("an unsynced blob never takes the place of a durable one, but of a cut one", "[layerstore][blob]") {
  const TempStore temp;
  const Digest digest = temp.store.blobs().put("hello", "text/plain").digest;
  const auto write_unsynced = [&] {
    BlobWriter writer = temp.store.blobs().begin(DigestAlgorithm::sha256, Durability::unsynced);
    writer.write(bytes_of("hello"));
    writer.commit();
  };
  const std::string inode = shell("stat -c %i " + file_of(temp, digest)).output;
  write_unsynced();
  CHECK(shell("stat -c %i " + file_of(temp, digest)).output == inode);
  REQUIRE(shell("truncate -s 2 " + file_of(temp, digest)).status == 0);
  write_unsynced();
  CHECK(temp.store.blobs().read(digest) == "hello");
}

TEST_CASE("what is no regular file is never opened as a blob", "[layerstore][blob]") {
  const TempStore temp;
  const Digest digest = digest_of("hello");
  const std::string file = file_of(temp, digest);
  for (const std::string make : {"ln -s /etc/passwd ", "mkfifo ", "mkdir ", "mknod -m 600 "}) {
    CAPTURE(make);
    REQUIRE(shell(make + file + (make.starts_with("mknod") ? " c 1 5" : "")).status == 0);
    CHECK_FALSE(temp.store.blobs().has(digest));
    CHECK(error_of([&] { temp.store.blobs().open(digest); }).code() == Errc::corrupt);
    CHECK(error_of([&] { temp.store.blobs().read(digest); }).code() == Errc::corrupt);
    REQUIRE(shell("rm -rf --one-file-system " + file).status == 0);
  }
  CHECK(error_of([&] { temp.store.blobs().open(digest); }).code() == Errc::not_found);
}

TEST_CASE("a sweep removes what a killed writer left, and nothing of a living one", "[layerstore][blob]") {
  const TempStore temp;
  BlobWriter alive = temp.store.blobs().begin();
  alive.write(bytes_of("alive"));
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    BlobWriter writer = temp.store.blobs().begin();
    writer.write(bytes_of("dead"));
    ::raise(SIGKILL);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFSIGNALED(status));
  CHECK(debris(temp.path()) == 2);
  test::collect(temp.store);
  CHECK(debris(temp.path()) == 1);
  CHECK(alive.commit() == digest_of("alive"));
}

TEST_CASE("sweeping while others begin never takes a new folder away", "[layerstore][blob]") {
  const TempStore temp;
  std::atomic<bool> done = false;
  std::thread sweeper([&] {
    while (!done) test::collect(temp.store);
  });
  const FileLock lock = temp.store.share();
  for (int i = 0; i < 200; ++i) {
    BlobWriter writer = temp.store.blobs().begin();
    writer.write(bytes_of("x"));
    CHECK(writer.commit() == digest_of("x"));
  }
  done = true;
  sweeper.join();
}

TEST_CASE("a full disk leaves the store as it was, and the same work succeeds once there is space",
          "[layerstore][blob]") {
  const test::SmallDisk disk("3m");
  const Store store = Store::open(disk.path() + "/root");
  store.blobs().put("before", "text/plain");
  const std::string content(4'000'000, 'x');
  const auto write = [&] {
    BlobWriter writer = store.blobs().begin();
    writer.write(bytes_of(content));
    writer.commit();
  };
  const std::string tree = shell("cd " + disk.path() + " && find . | sort").output;
  const Error error = error_of(write);
  CHECK(error.code() == Errc::no_space);
  CHECK_FALSE(error.hint().empty());
  CHECK(shell("cd " + disk.path() + " && find . | sort").output == tree);
  CHECK(store.blobs().read(digest_of("before")) == "before");
  disk.resize("10m");
  write();
  CHECK(store.blobs().has(digest_of(content)));
}
