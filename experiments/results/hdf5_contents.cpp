// Hdf5File: the digest of its contents, and what an array takes on disk.
#include <zlib.h>

#include <algorithm>

#include "experiments/results/digest.h"
#include "experiments/results/hdf5.h"
#include "experiments/results/hdf5_handle.h"

namespace winnow {

std::string Hdf5File::digest(const std::function<bool(const std::string&)>& skip) const {
  Sha256 sum;
  for (const auto& name : children("/")) add_to(sum, "/" + name, skip);
  return sum.hex();
}

void Hdf5File::add_to(Sha256& sum, const std::string& path, const std::function<bool(const std::string&)>& skip) const {
  if (skip(path)) return;
  sum.update(path);
  // H5Oget_info takes other arguments in each of 1.10, 1.12 and 1.14.
  const int attributes = H5Aget_num_attrs(object(path).id);
  if (attributes < 0) damaged(path, "cannot be opened");
  for (hsize_t i = 0; i < static_cast<hsize_t>(attributes); ++i) {
    const Handle attribute(
        H5Aopen_by_idx(object(path).id, ".", H5_INDEX_NAME, H5_ITER_INC, i, H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
    std::string name(256, '\0');
    const ssize_t size = H5Aget_name(attribute, name.size(), name.data());
    const Handle kind(H5Aget_type(attribute), H5Tclose);
    if (size < 0 || !kind.good()) damaged(path, "has an unreadable attribute");
    name.resize(std::min(static_cast<std::size_t>(size), name.size() - 1));
    sum.update(name);
    if (H5Tget_class(kind) == H5T_STRING) {
      for (const auto& value : texts(path, name)) sum.update(value);
    } else if (H5Tget_class(kind) == H5T_ENUM) {
      signed char flag = 0;
      if (H5Tget_size(kind) != 1 || H5Aread(attribute, kind, &flag) < 0) damaged(path + "@" + name, "cannot be read");
      sum.update(std::as_bytes(std::span(&flag, 1)));
    } else {
      const auto values = attribute_numbers<double>(path, name);
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
      const auto values = read<double>(path);
      sum.update(std::as_bytes(std::span(values)));
      return;
    }
    case Type::Other:
      damaged(path, "has an unknown type");
  }
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

}  // namespace winnow
