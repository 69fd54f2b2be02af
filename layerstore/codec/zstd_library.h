#pragma once

#define ZSTD_STATIC_LINKING_ONLY  // NOLINT: how much memory a compressor takes
#include <zstd.h>
#include <zstd_errors.h>

namespace lay::layerstore {

/// What is used of libzstd. Debian's static archive is built without threads.
struct ZstdLibrary {
  decltype(&::ZSTD_isError) is_error;
  decltype(&::ZSTD_getErrorName) error_name;
  decltype(&::ZSTD_getErrorCode) error_code;
  decltype(&::ZSTD_compressBound) compress_bound;
  decltype(&::ZSTD_createCCtx) create_compressor;
  decltype(&::ZSTD_freeCCtx) free_compressor;
  decltype(&::ZSTD_CCtx_setParameter) set_compressor;
  decltype(&::ZSTD_getCParams) parameters;
  decltype(&::ZSTD_estimateCCtxSize_usingCParams) compressor_size;
  decltype(&::ZSTD_compress2) compress;
  decltype(&::ZSTD_compressStream2) compress_stream;
  decltype(&::ZSTD_createDCtx) create_decompressor;
  decltype(&::ZSTD_freeDCtx) free_decompressor;
  decltype(&::ZSTD_DCtx_setParameter) set_decompressor;
  decltype(&::ZSTD_decompressDCtx) decompress;
  decltype(&::ZSTD_decompressStream) decompress_stream;
};

/// Opened at the first use; stays open as long as lay runs. Any thread may call it. Throws unsupported where
/// the library is not installed.
const ZstdLibrary& zstd();

}  // namespace lay::layerstore
