// Hdf5File: reading. Nothing a file says of itself is believed before it is checked.
#include <algorithm>
#include <utility>

#include "experiments/results/hdf5.h"
#include "experiments/results/hdf5_handle.h"

namespace winnow {
namespace {

constexpr std::int64_t kLargestRatio = 1100;  // deflate cannot do better; a larger claim is damage

std::vector<std::string> texts_from(hid_t type, hid_t space, std::size_t count, const auto& read_into,
                                    const auto& complain) {
  std::vector<std::string> texts(count);
  if (count == 0) return texts;
  if (H5Tis_variable_str(type) > 0) {
    const Handle memory(text_type(H5T_VARIABLE), H5Tclose);
    std::vector<char*> pointers(count, nullptr);
    if (read_into(memory, pointers.data()) < 0) complain("cannot be read");
    for (std::size_t i = 0; i < count; ++i) texts[i] = pointers[i] ? pointers[i] : "";
    H5Dvlen_reclaim(memory, space, H5P_DEFAULT, pointers.data());
    return texts;
  }
  const std::size_t size = H5Tget_size(type);
  std::vector<char> raw(count * size);
  if (read_into(type, raw.data()) < 0) complain("cannot be read");
  for (std::size_t i = 0; i < count; ++i) {
    const char* begin = raw.data() + i * size;
    texts[i].assign(begin, std::find(begin, begin + size, '\0'));
  }
  return texts;
}

}  // namespace

void Hdf5File::damaged(const std::string& path, const std::string& what) const {
  fail(ErrorKind::Input, "{}: {} {}; the file is damaged or was not written by winnow", label_, path, what);
}

bool Hdf5File::has(const std::string& path) const {
  if (path == "/") return true;
  for (std::size_t end = 1; end != std::string::npos;) {
    end = path.find('/', end);
    const std::string part = path.substr(0, end);
    if (H5Lexists(id_, part.c_str(), H5P_DEFAULT) <= 0) return false;
    if (end != std::string::npos) ++end;
  }
  return H5Oexists_by_name(id_, path.c_str(), H5P_DEFAULT) > 0;
}

bool Hdf5File::has(const std::string& path, const std::string& attribute) const {
  return has(path) && H5Aexists_by_name(id_, path.c_str(), attribute.c_str(), H5P_DEFAULT) > 0;
}

std::vector<std::string> Hdf5File::children(const std::string& group) const {
  if (!has(group) || type(group) != Type::Group) damaged(group, "is not a group");
  const Handle handle(H5Gopen2(id_, group.c_str(), H5P_DEFAULT), H5Gclose);
  H5G_info_t info{};
  if (!handle.good() || H5Gget_info(handle, &info) < 0) damaged(group, "cannot be read");
  std::vector<std::string> names;
  for (hsize_t i = 0; i < info.nlinks; ++i) {
    const ssize_t size = H5Lget_name_by_idx(handle, ".", H5_INDEX_NAME, H5_ITER_INC, i, nullptr, 0, H5P_DEFAULT);
    if (size < 0) damaged(group, "cannot be listed");
    std::string name(static_cast<std::size_t>(size) + 1, '\0');
    H5Lget_name_by_idx(handle, ".", H5_INDEX_NAME, H5_ITER_INC, i, name.data(), name.size(), H5P_DEFAULT);
    name.pop_back();
    names.push_back(std::move(name));
  }
  return names;
}

Hdf5File::Type Hdf5File::type(const std::string& path) const {
  if (!has(path)) damaged(path, "is missing");
  const Handle object(H5Oopen(id_, path.c_str(), H5P_DEFAULT), H5Oclose);
  if (!object.good()) damaged(path, "cannot be opened");
  if (H5Iget_type(object) == H5I_GROUP) return Type::Group;
  if (H5Iget_type(object) != H5I_DATASET) return Type::Other;
  const Handle kind(H5Dget_type(object), H5Tclose);
  switch (H5Tget_class(kind)) {
    case H5T_FLOAT:
      return Type::Real;
    case H5T_INTEGER:
      return Type::Integer;
    case H5T_STRING:
      return Type::Text;
    default:
      return Type::Other;
  }
}

namespace {

// The extents of an open data set, with a guard against damaged headers that claim absurd sizes.
std::vector<std::int64_t> checked_extents(const Hdf5File& file, hid_t dataset, const std::string& path) {
  const Handle space(H5Dget_space(dataset), H5Sclose), kind(H5Dget_type(dataset), H5Tclose);
  const int rank = space.good() ? H5Sget_simple_extent_ndims(space) : -1;
  if (rank < 0 || !kind.good()) file.damaged(path, "has no readable shape");
  std::vector<hsize_t> dims(static_cast<std::size_t>(rank));
  H5Sget_simple_extent_dims(space, dims.data(), nullptr);
  const auto stored = static_cast<double>(H5Dget_storage_size(dataset));
  double claimed = static_cast<double>(H5Tget_size(kind));
  for (const hsize_t extent : dims) claimed *= static_cast<double>(extent);
  if (claimed > stored * static_cast<double>(kLargestRatio)) file.damaged(path, "claims more data than is stored");
  return {dims.begin(), dims.end()};
}

std::size_t count_of(const std::vector<std::int64_t>& extents) {
  std::size_t count = 1;
  for (const std::int64_t extent : extents) count *= static_cast<std::size_t>(extent);
  return count;
}

}  // namespace

std::vector<std::int64_t> Hdf5File::extents(const std::string& path) const {
  if (!has(path)) damaged(path, "is missing");
  const Handle dataset(H5Dopen2(id_, path.c_str(), H5P_DEFAULT), H5Dclose);
  if (!dataset.good()) damaged(path, "is not a data set");
  return checked_extents(*this, dataset, path);
}

template <class T>
std::vector<T> Hdf5File::read(const std::string& path) const {
  const Type kind = type(path);
  if (kind != Type::Real && kind != Type::Integer) damaged(path, "does not hold numbers");
  const Handle dataset(H5Dopen2(id_, path.c_str(), H5P_DEFAULT), H5Dclose);
  if (!dataset.good()) damaged(path, "cannot be opened");
  std::vector<T> values(count_of(checked_extents(*this, dataset, path)));
  if (!values.empty() && H5Dread(dataset, memory_type<T>(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) < 0) {
    damaged(path, "cannot be read (check sum or filter)");
  }
  return values;
}

std::vector<std::string> Hdf5File::read_texts(const std::string& path) const {
  if (type(path) != Type::Text) damaged(path, "does not hold text");
  const Handle dataset(H5Dopen2(id_, path.c_str(), H5P_DEFAULT), H5Dclose);
  const Handle kind(H5Dget_type(dataset), H5Tclose), space(H5Dget_space(dataset), H5Sclose);
  const std::size_t count = count_of(checked_extents(*this, dataset, path));
  return texts_from(
      kind, space, count,
      [&](hid_t memory, void* out) { return H5Dread(dataset, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, out); },
      [&](const char* what) { damaged(path, what); });
}

std::string Hdf5File::read_text(const std::string& path) const {
  auto values = read_texts(path);
  if (values.size() != 1) damaged(path, "is not a single text");
  return std::move(values[0]);
}

double Hdf5File::read_number(const std::string& path) const {
  const auto values = read<double>(path);
  if (values.size() != 1) damaged(path, "is not a single number");
  return values[0];
}

template <class T>
std::vector<T> Hdf5File::attribute_numbers(const std::string& path, const std::string& name) const {
  const std::string place = path + "@" + name;
  if (!has(path, name)) damaged(place, "is missing");
  const Handle attribute(H5Aopen_by_name(id_, path.c_str(), name.c_str(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
  const Handle kind(attribute.good() ? H5Aget_type(attribute) : -1, H5Tclose);
  const Handle space(attribute.good() ? H5Aget_space(attribute) : -1, H5Sclose);
  if (!kind.good() || !space.good()) damaged(place, "cannot be opened");
  const H5T_class_t type_class = H5Tget_class(kind);
  if (type_class != H5T_INTEGER && type_class != H5T_FLOAT) damaged(place, "does not hold numbers");
  const hssize_t count = H5Sget_simple_extent_npoints(space);
  if (count < 0 || count > 8192) damaged(place, "is too long");
  std::vector<T> values(static_cast<std::size_t>(count));
  if (count > 0 && H5Aread(attribute, memory_type<T>(), values.data()) < 0) damaged(place, "cannot be read");
  return values;
}

std::vector<std::string> Hdf5File::texts(const std::string& path, const std::string& attribute) const {
  const std::string place = path + "@" + attribute;
  if (!has(path, attribute)) damaged(place, "is missing");
  const Handle handle(H5Aopen_by_name(id_, path.c_str(), attribute.c_str(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
  const Handle kind(handle.good() ? H5Aget_type(handle) : -1, H5Tclose);
  const Handle space(handle.good() ? H5Aget_space(handle) : -1, H5Sclose);
  if (!kind.good() || !space.good() || H5Tget_class(kind) != H5T_STRING) damaged(place, "does not hold text");
  const hssize_t count = H5Sget_simple_extent_npoints(space);
  if (count < 0 || count > 8192) damaged(place, "is too long");
  return texts_from(
      kind, space, static_cast<std::size_t>(count),
      [&](hid_t memory, void* out) { return H5Aread(handle, memory, out); },
      [&](const char* what) { damaged(place, what); });
}

std::string Hdf5File::text(const std::string& path, const std::string& attribute) const {
  auto values = texts(path, attribute);
  if (values.size() != 1) damaged(path + "@" + attribute, "is not a single text");
  return std::move(values[0]);
}

std::int64_t Hdf5File::integer(const std::string& path, const std::string& attribute) const {
  const auto values = integers(path, attribute);
  if (values.size() != 1) damaged(path + "@" + attribute, "is not a single number");
  return values[0];
}

double Hdf5File::real(const std::string& path, const std::string& attribute) const {
  const auto values = attribute_numbers<double>(path, attribute);
  if (values.size() != 1) damaged(path + "@" + attribute, "is not a single number");
  return values[0];
}

std::vector<std::int64_t> Hdf5File::integers(const std::string& path, const std::string& attribute) const {
  return attribute_numbers<std::int64_t>(path, attribute);
}

std::vector<float> Hdf5File::floats(const std::string& path, const std::string& attribute) const {
  return attribute_numbers<float>(path, attribute);
}

template std::vector<double> Hdf5File::attribute_numbers(const std::string&, const std::string&) const;
template std::vector<float> Hdf5File::read(const std::string&) const;
template std::vector<double> Hdf5File::read(const std::string&) const;
template std::vector<std::int32_t> Hdf5File::read(const std::string&) const;
template std::vector<std::int64_t> Hdf5File::read(const std::string&) const;
template std::vector<std::uint8_t> Hdf5File::read(const std::string&) const;

}  // namespace winnow
