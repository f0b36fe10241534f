// Hdf5File: columns that are written in parts.
#include <algorithm>
#include <vector>

#include "experiments/results/hdf5.h"
#include "experiments/results/hdf5_handle.h"

namespace winnow {
namespace {

Handle new_column(hid_t file, const std::string& path, hid_t on_disk) {
  const hsize_t none = 0, endless = H5S_UNLIMITED, chunk = kColumnChunk;
  const Handle space(H5Screate_simple(1, &none, &endless), H5Sclose), create(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  H5Pset_obj_track_times(create, false);
  made(H5Pset_chunk(create, 1, &chunk), path);
  return {made(H5Dcreate2(file, path.c_str(), on_disk, space, H5P_DEFAULT, create, H5P_DEFAULT), path), H5Dclose};
}

void put_behind(hid_t column, const std::string& path, hid_t in_memory, const void* values, hsize_t first,
                hsize_t count) {
  const hsize_t rows = first + count;
  made(H5Dset_extent(column, &rows), path);
  if (count == 0) return;
  const Handle space(made(H5Dget_space(column), path), H5Sclose), part(H5Screate_simple(1, &count, nullptr), H5Sclose);
  made(H5Sselect_hyperslab(space, H5S_SELECT_SET, &first, nullptr, &count, nullptr), path);
  made(H5Dwrite(column, in_memory, part, space, H5P_DEFAULT, values), path);
}

}  // namespace

template <class T>
void Hdf5File::append(const std::string& path, std::size_t before, std::span<const T> values, T fill) {
  changed();
  const bool there = made(H5Lexists(id_, path.c_str(), H5P_DEFAULT), path) > 0;
  const Handle column = there ? Handle(made(H5Dopen2(id_, path.c_str(), H5P_DEFAULT), path), H5Dclose)
                              : new_column(id_, path, disk_type<T>());
  // Written, not left to the library: a reader takes chunks that nobody wrote for a claim without data.
  const std::vector<T> filling(there ? 0 : std::min(before, kPartOfColumn), fill);
  for (std::size_t first = 0; !there && first < before; first += filling.size()) {
    put_behind(column, path, memory_type<T>(), filling.data(), first, std::min(filling.size(), before - first));
  }
  put_behind(column, path, memory_type<T>(), values.data(), before, values.size());
}

void Hdf5File::make_real(const std::string& path) {
  changed();
  const std::string other = "/column in work";  // no table has a column there
  const Handle from(made(H5Dopen2(id_, path.c_str(), H5P_DEFAULT), path), H5Dclose);
  const Handle to = new_column(id_, other, H5T_IEEE_F64LE);
  const Handle space(made(H5Dget_space(from), path), H5Sclose);
  const auto rows = static_cast<hsize_t>(made(H5Sget_simple_extent_npoints(space), path));
  std::vector<double> values(std::min<std::size_t>(rows, kPartOfColumn));
  for (hsize_t first = 0; first < rows; first += values.size()) {
    const hsize_t count = std::min<hsize_t>(values.size(), rows - first);
    const Handle part(H5Screate_simple(1, &count, nullptr), H5Sclose);
    made(H5Sselect_hyperslab(space, H5S_SELECT_SET, &first, nullptr, &count, nullptr), path);
    made(H5Dread(from, H5T_NATIVE_DOUBLE, part, space, H5P_DEFAULT, values.data()), path);
    put_behind(to, other, H5T_NATIVE_DOUBLE, values.data(), first, count);
  }
  made(H5Ldelete(id_, path.c_str(), H5P_DEFAULT), path);
  made(H5Lmove(id_, other.c_str(), id_, path.c_str(), H5P_DEFAULT, H5P_DEFAULT), path);
}

template void Hdf5File::append(const std::string&, std::size_t, std::span<const double>, double);
template void Hdf5File::append(const std::string&, std::size_t, std::span<const std::int32_t>, std::int32_t);
template void Hdf5File::append(const std::string&, std::size_t, std::span<const std::int64_t>, std::int64_t);

}  // namespace winnow
