// Shared by the sources of Hdf5File and included nowhere else: handles that close themselves, types, limits.
#pragma once

#include <hdf5.h>

#include <cstdint>
#include <string>
#include <type_traits>
#include <vector>

#include "core/error.h"

namespace winnow {

static_assert(std::is_same_v<hid_t, std::int64_t>, "the header stores HDF5 handles as int64_t");

inline constexpr std::size_t kFilterFrom = 4096;  // below this the chunk overhead exceeds the gain
inline constexpr std::size_t kWholeChunk = std::size_t{1} << 20;
inline constexpr std::int64_t kChunkElements = 65536;
inline constexpr int kDeflateLevel = 4;
inline constexpr std::size_t kPartOfColumn = std::size_t{1} << 16;  // elements that are read at once
inline constexpr hsize_t kColumnChunk = 16384;                      // elements of a column that grows

// Of a file in memory our own mistake, not something a user could mend; of one on disk what the system said.
[[noreturn]] void writing_failed(const std::string& what);
template <class T>
T made(T result, const std::string& what) {
  if (result < 0) writing_failed(what);
  return result;
}

class Handle {
 public:
  Handle(hid_t id, herr_t (*close)(hid_t)) : id_(id), close_(close) {}
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() {
    if (id_ >= 0) close_(id_);
  }
  operator hid_t() const { return id_; }
  bool good() const { return id_ >= 0; }

 private:
  hid_t id_;
  herr_t (*close_)(hid_t);
};

template <class T>
hid_t memory_type() {
  if constexpr (std::is_same_v<T, float>) return H5T_NATIVE_FLOAT;
  if constexpr (std::is_same_v<T, double>) return H5T_NATIVE_DOUBLE;
  if constexpr (std::is_same_v<T, std::int32_t>) return H5T_NATIVE_INT32;
  if constexpr (std::is_same_v<T, std::int64_t>) return H5T_NATIVE_INT64;
  if constexpr (std::is_same_v<T, std::uint8_t>) return H5T_NATIVE_UINT8;
}
template <class T>
hid_t disk_type() {
  if constexpr (std::is_same_v<T, float>) return H5T_IEEE_F32LE;
  if constexpr (std::is_same_v<T, double>) return H5T_IEEE_F64LE;
  if constexpr (std::is_same_v<T, std::int32_t>) return H5T_STD_I32LE;
  if constexpr (std::is_same_v<T, std::int64_t>) return H5T_STD_I64LE;
  if constexpr (std::is_same_v<T, std::uint8_t>) return H5T_STD_U8LE;
}

inline hid_t text_type(std::size_t size) {
  const hid_t type = H5Tcopy(H5T_C_S1);
  H5Tset_size(type, size);
  H5Tset_cset(type, H5T_CSET_UTF8);
  if (size != H5T_VARIABLE) H5Tset_strpad(type, H5T_STR_NULLPAD);
  return type;
}

}  // namespace winnow
