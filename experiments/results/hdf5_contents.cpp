// Hdf5File: the digest of its contents, and what an array takes on disk.
#include <zlib.h>

#include <algorithm>

#include "experiments/data/digest.h"
#include "experiments/results/hdf5.h"
#include "experiments/results/hdf5_handle.h"

namespace winnow {
namespace {

herr_t note_attribute(hid_t, const char* name, const H5A_info_t*, void* names) {
  static_cast<std::vector<std::string>*>(names)->emplace_back(name);
  return 0;
}

}  // namespace

std::string Hdf5File::digest(const std::function<bool(const std::string&)>& skip) const {
  Sha256 sum;
  for (const auto& name : children("/")) add_to(sum, "/" + name, skip);
  return sum.hex();
}

void Hdf5File::add_to(Sha256& sum, const std::string& path, const std::function<bool(const std::string&)>& skip) const {
  if (skip(path)) return;
  sum.update(path);
  std::vector<std::string> attributes;
  hsize_t from = 0;
  if (H5Aiterate2(object(path).id, H5_INDEX_NAME, H5_ITER_INC, &from, note_attribute, &attributes) < 0) {
    damaged(path, "has an unreadable attribute");
  }
  for (const std::string& name : attributes) {
    const Handle attribute(H5Aopen(object(path).id, name.c_str(), H5P_DEFAULT), H5Aclose);
    const Handle kind(H5Aget_type(attribute), H5Tclose);
    if (!kind.good()) damaged(path, "has an unreadable attribute");
    sum.update(name);
    if (H5Tget_class(kind) == H5T_STRING) {
      for (const auto& value : texts_of(attribute, path + "@" + name)) sum.update(value);
    } else if (H5Tget_class(kind) == H5T_ENUM) {
      signed char flag = 0;
      if (H5Tget_size(kind) != 1 || H5Aread(attribute, kind, &flag) < 0) damaged(path + "@" + name, "cannot be read");
      sum.update(std::as_bytes(std::span(&flag, 1)));
    } else {
      const auto values = numbers_of<double>(attribute, path + "@" + name);
      sum.update(std::as_bytes(std::span(values)));
    }
  }
  switch (type(path)) {
    case Type::Group:
      for (const auto& name : children(path)) add_to(sum, path + "/" + name, skip);
      return;
    case Type::Text:
      for (const auto& value : read_texts(path)) sum.update(value);
      return;
    case Type::Real:
    case Type::Integer: {
      // Integers beyond 2^53 do not occur; float to double is exact.
      read_parts(path, [&](std::span<const double> values) { sum.update(std::as_bytes(values)); });
      return;
    }
    case Type::Other:
      damaged(path, "has an unknown type");
  }
}

std::int64_t Hdf5File::stored_bytes(const std::string& path) const {
  return static_cast<std::int64_t>(H5Dget_storage_size(object(path).id));
}

std::int64_t filtered_size(std::span<const std::byte> values, std::size_t item_size) {
  if (values.size() < kFilterFrom) return static_cast<std::int64_t>(values.size());
  const std::size_t count = values.size() / item_size;
  const std::size_t chunk = values.size() <= kWholeChunk ? count : static_cast<std::size_t>(kChunkElements);
  std::int64_t total = 0;
  std::vector<unsigned char> shuffled(chunk * item_size), packed(compressBound(chunk * item_size));
  for (std::size_t begin = 0; begin < count; begin += chunk) {
    const std::size_t here = std::min(chunk, count - begin);
    std::fill(shuffled.begin(), shuffled.end(), static_cast<unsigned char>(0));
    for (std::size_t i = 0; i < here; ++i) {
      for (std::size_t b = 0; b < item_size; ++b) {
        shuffled[b * chunk + i] = static_cast<unsigned char>(values[(begin + i) * item_size + b]);
      }
    }
    uLongf size = packed.size();
    if (compress2(packed.data(), &size, shuffled.data(), shuffled.size(), kDeflateLevel) != Z_OK) {
      fail(ErrorKind::Internal, "zlib could not compress {} bytes", shuffled.size());
    }
    total += static_cast<std::int64_t>(std::min<std::size_t>(size, shuffled.size())) + 4;
  }
  return total;
}

std::int64_t filtered_size(std::span<const float> values, const std::vector<std::int64_t>& extents) {
  if (values.size_bytes() <= kWholeChunk || extents.size() < 2)
    return filtered_size(std::as_bytes(values), sizeof(float));
  Hdf5File scratch = Hdf5File::create();
  scratch.write<float>("/values", values, extents);
  return scratch.stored_bytes("/values");
}

}  // namespace winnow
