#pragma once

#include <isa-l/crc.h>
#include <isa-l/crc64.h>
#include <isa-l/igzip_lib.h>

namespace lay::layerstore {

/// What is used of ISA-L (libisal): inflating and deflating raw streams, and checksums. Its own gzip headers
/// are left alone; the framing is checked and written by codec_gunzip.cpp and codec_gzip.cpp.
struct IsalLibrary {
  decltype(&::isal_inflate_init) inflate_init = nullptr;
  decltype(&::isal_inflate) inflate = nullptr;
  decltype(&::isal_deflate_init) deflate_init = nullptr;
  decltype(&::isal_deflate_set_dict) deflate_set_dict = nullptr;
  decltype(&::isal_deflate) deflate = nullptr;
  decltype(&::crc32_gzip_refl) crc32 = nullptr;
  decltype(&::crc64_iso_refl) crc64_iso = nullptr;
};

/// Null where the library is not installed. Opened at the first use, because starting a container does not
/// need it; stays open as long as lay runs. Any thread may call it.
const IsalLibrary* isal_library();

}  // namespace lay::layerstore
