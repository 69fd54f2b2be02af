#include <algorithm>
#include <memory>

#include "base/error.h"
#include "base/syscalls.h"
#include "server/http/exchange.h"

namespace lay::registry::server {

namespace {

constexpr std::size_t kBlock = 64 * 1024;

std::uint64_t length_of(const Response& response) {
  if (!response.file) return response.body.size();
  std::uint64_t length = response.trailer.size();
  for (const FilePart& part : response.parts) length += part.heading.size() + part.range.size();
  return length;
}

/// Several parts of a file with their headings, read one after the other.
class PartReader {
 public:
  explicit PartReader(Response response) : response_(std::move(response)) {}

  /// MHD_ContentReaderCallback; it is called for one position after the other.
  ssize_t read(char* out, std::size_t room) {
    while (next_ < response_.parts.size()) {
      const FilePart& part = response_.parts[next_];
      const std::uint64_t whole = part.heading.size() + part.range.size();
      if (done_ == whole) {
        done_ = 0;
        ++next_;
        continue;
      }
      if (done_ < part.heading.size()) return copy(part.heading, out, room);
      const std::uint64_t offset = done_ - part.heading.size();
      const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(room, whole - done_));
      const std::size_t got = sys::pread_some(response_.file, std::as_writable_bytes(std::span(out, wanted)),
                                              part.range.first + offset);
      if (got == 0) return MHD_CONTENT_READER_END_WITH_ERROR;
      done_ += got;
      return static_cast<ssize_t>(got);
    }
    if (done_ == response_.trailer.size()) return MHD_CONTENT_READER_END_OF_STREAM;
    return copy(response_.trailer, out, room);
  }

 private:
  ssize_t copy(const std::string& text, char* out, std::size_t room) {
    const std::size_t from = static_cast<std::size_t>(done_);
    const std::size_t count = text.copy(out, room, from);
    done_ += count;
    return static_cast<ssize_t>(count);
  }

  const Response response_;
  std::size_t next_ = 0;
  std::uint64_t done_ = 0;  ///< of the part `next_`, heading included
};

ssize_t read_parts(void* reader, std::uint64_t, char* out, std::size_t room) {
  try {
    return static_cast<PartReader*>(reader)->read(out, room);
  } catch (const Error&) {
    return MHD_CONTENT_READER_END_WITH_ERROR;
  }
}

void free_parts(void* reader) {
  delete static_cast<PartReader*>(reader);
}

MHD_Response* create(Response& response, std::uint64_t length) {
  const MicrohttpdLibrary& library = microhttpd();
  if (!response.file)
    return library.create_response_from_buffer(response.body.size(), response.body.data(),
                                               MHD_RESPMEM_MUST_COPY);
  const bool is_plain = response.parts.size() == 1 && response.parts[0].heading.empty();
  if (is_plain && !response.is_head)  // sendfile(2) where there is no TLS
    return library.create_response_from_fd(length, response.file.release(), response.parts[0].range.first);
  auto reader = std::make_unique<PartReader>(std::move(response));
  return library.create_response_from_callback(length, kBlock, &read_parts, reader.release(), &free_parts);
}

}  // namespace

MHD_Response* make_response(Response response, std::uint64_t& length) {
  length = length_of(response);
  const HeaderList headers = response.headers;
  MHD_Response* made = create(response, length);
  if (made == nullptr) return nullptr;
  for (const auto& [name, value] : headers)
    microhttpd().add_response_header(made, name.c_str(), value.c_str());
  return made;
}

}  // namespace lay::registry::server
