#include "codec/zstd_library.h"

#include "base/shared_library.h"

namespace lay::layerstore {

namespace {

ZstdLibrary open_library() {
  const SharedLibrary library("libzstd.so.1", "a layer in zstd", "libzstd1");
  ZstdLibrary table{};
  library.load("ZSTD_isError", table.is_error);
  library.load("ZSTD_getErrorName", table.error_name);
  library.load("ZSTD_getErrorCode", table.error_code);
  library.load("ZSTD_compressBound", table.compress_bound);
  library.load("ZSTD_createCCtx", table.create_compressor);
  library.load("ZSTD_freeCCtx", table.free_compressor);
  library.load("ZSTD_CCtx_setParameter", table.set_compressor);
  library.load("ZSTD_getCParams", table.parameters);
  library.load("ZSTD_estimateCCtxSize_usingCParams", table.compressor_size);
  library.load("ZSTD_compress2", table.compress);
  library.load("ZSTD_compressStream2", table.compress_stream);
  library.load("ZSTD_createDCtx", table.create_decompressor);
  library.load("ZSTD_freeDCtx", table.free_decompressor);
  library.load("ZSTD_DCtx_setParameter", table.set_decompressor);
  library.load("ZSTD_decompressDCtx", table.decompress);
  library.load("ZSTD_decompressStream", table.decompress_stream);
  return table;
}

}  // namespace

const ZstdLibrary& zstd() {
  static const ZstdLibrary library = open_library();
  return library;
}

}  // namespace lay::layerstore
