#include "experiments/results/hdf5.h"

#include <hdf5.h>
#include <zlib.h>

#include <algorithm>
#include <type_traits>
#include <utility>

#include "core/error.h"
#include "experiments/results/digest.h"

namespace winnow {
namespace {

static_assert(std::is_same_v<hid_t, std::int64_t>, "the header stores HDF5 handles as int64_t");

constexpr std::size_t kFilterFrom = 4096;  // below this the chunk overhead exceeds the gain
constexpr std::size_t kWholeChunk = std::size_t{1} << 20;
constexpr std::int64_t kChunkElements = 65536;
constexpr int kDeflateLevel = 4;
constexpr std::int64_t kLargestRatio = 1100;  // deflate cannot do better; a larger claim is damage

std::recursive_mutex& library() {
  static std::recursive_mutex mutex;
  static const bool quiet = [] { return H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr) >= 0; }();
  (void)quiet;
  return mutex;
}

// Our own mistakes while writing (the file is in memory): not something a user could mend.
template <class T>
T made(T result, const std::string& what) {
  if (result < 0) fail(ErrorKind::Internal, "HDF5 could not write {}", what);
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

hid_t text_type(std::size_t size) {
  const hid_t type = H5Tcopy(H5T_C_S1);
  H5Tset_size(type, size);
  H5Tset_cset(type, H5T_CSET_UTF8);
  if (size != H5T_VARIABLE) H5Tset_strpad(type, H5T_STR_NULLPAD);
  return type;
}

hid_t link_properties() {
  const hid_t list = H5Pcreate(H5P_LINK_CREATE);
  H5Pset_create_intermediate_group(list, 1);
  H5Pset_char_encoding(list, H5T_CSET_UTF8);
  return list;
}

// The library takes two open files of one name for the same file, in memory too.
std::string memory_name() {
  static std::uint64_t count = 0;  // guarded by library()
  return "winnow-in-memory-" + std::to_string(++count);
}

hid_t access_properties() {
  const hid_t list = H5Pcreate(H5P_FILE_ACCESS);
  H5Pset_fapl_core(list, std::size_t{1} << 16, 0);
  H5Pset_libver_bounds(list, H5F_LIBVER_EARLIEST, H5F_LIBVER_V18);
  return list;
}

// The largest trailing block of at most kChunkElements elements, so that a chunk is contiguous in
// the array.
std::vector<hsize_t> chunk_of(const std::vector<hsize_t>& extents, std::size_t item_size) {
  hsize_t count = 1;
  for (const hsize_t extent : extents) count *= extent;
  if (count * item_size <= kWholeChunk) return extents;
  std::vector<hsize_t> chunk(extents.size(), 1);
  hsize_t room = kChunkElements;
  for (std::size_t axis = extents.size(); axis-- > 0 && room > 1;) {
    chunk[axis] = std::min(extents[axis], room);
    room /= chunk[axis];
  }
  return chunk;
}

void write_dataset(hid_t file, const std::string& path, hid_t on_disk, hid_t in_memory,
                   const void* data, const std::vector<hsize_t>& extents) {
  const Handle space(
      extents.empty() ? H5Screate(H5S_SCALAR)
                      : H5Screate_simple(static_cast<int>(extents.size()), extents.data(), nullptr),
      H5Sclose);
  const Handle create(H5Pcreate(H5P_DATASET_CREATE), H5Pclose), link(link_properties(), H5Pclose);
  H5Pset_obj_track_times(create, false);
  const std::size_t item_size = H5Tget_size(on_disk);
  const auto count = static_cast<std::size_t>(made(H5Sget_simple_extent_npoints(space), path));
  if (!extents.empty() && count * item_size >= kFilterFrom) {
    const auto chunk = chunk_of(extents, item_size);
    made(H5Pset_chunk(create, static_cast<int>(chunk.size()), chunk.data()), path);
    made(H5Pset_shuffle(create), path);
    made(H5Pset_deflate(create, kDeflateLevel), path);
    made(H5Pset_fletcher32(create), path);
  }
  const Handle dataset(
      made(H5Dcreate2(file, path.c_str(), on_disk, space, link, create, H5P_DEFAULT), path),
      H5Dclose);
  if (count > 0) made(H5Dwrite(dataset, in_memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, data), path);
}

void write_attribute(hid_t file, const std::string& path, const std::string& name, hid_t on_disk,
                     hid_t in_memory, const void* data, const std::vector<hsize_t>& extents) {
  const Handle space(
      extents.empty() ? H5Screate(H5S_SCALAR)
                      : H5Screate_simple(static_cast<int>(extents.size()), extents.data(), nullptr),
      H5Sclose);
  const Handle attribute(made(H5Acreate_by_name(file, path.c_str(), name.c_str(), on_disk, space,
                                                H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
                              path + "@" + name),
                         H5Aclose);
  if (extents.empty() || extents[0] > 0)
    made(H5Awrite(attribute, in_memory, data), path + "@" + name);
}

std::vector<std::string> texts_from(hid_t type, hid_t space, std::size_t count,
                                    const auto& read_into, const auto& complain) {
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

Hdf5File::Hdf5File(std::int64_t id, std::string label, std::unique_lock<std::recursive_mutex> lock)
    : lock_(std::move(lock)), id_(id), label_(std::move(label)) {}

Hdf5File::Hdf5File(Hdf5File&& other) noexcept
    : lock_(std::move(other.lock_)),
      id_(std::exchange(other.id_, -1)),
      label_(std::move(other.label_)) {}

Hdf5File::~Hdf5File() {
  if (id_ >= 0) H5Fclose(id_);
}

Hdf5File Hdf5File::create() {
  std::unique_lock lock(library());
  const Handle access(access_properties(), H5Pclose), create(H5Pcreate(H5P_FILE_CREATE), H5Pclose);
  H5Pset_obj_track_times(create, false);
  const hid_t id =
      made(H5Fcreate(memory_name().c_str(), H5F_ACC_TRUNC, create, access), "a file in memory");
  return Hdf5File(id, "the file being written", std::move(lock));
}

Hdf5File Hdf5File::from_bytes(std::span<const std::byte> bytes, std::string label) {
  std::unique_lock lock(library());
  const Handle access(access_properties(), H5Pclose);
  // The library copies the image; the pointer is not const in its interface.
  if (H5Pset_file_image(access, const_cast<std::byte*>(bytes.data()), bytes.size()) < 0) {
    fail(ErrorKind::Input, "{}: is empty or too large", label);
  }
  const hid_t id = H5Fopen(memory_name().c_str(), H5F_ACC_RDONLY, access);
  if (id < 0) fail(ErrorKind::Input, "{}: is not an HDF5 file, or is damaged", label);
  return Hdf5File(id, std::move(label), std::move(lock));
}

std::vector<std::byte> Hdf5File::bytes() {
  made(H5Fflush(id_, H5F_SCOPE_LOCAL), "the file");
  const ssize_t size = made(H5Fget_file_image(id_, nullptr, 0), "the file");
  std::vector<std::byte> image(static_cast<std::size_t>(size));
  made(H5Fget_file_image(id_, image.data(), image.size()), "the file");
  return image;
}

void Hdf5File::make_group(const std::string& path) {
  const Handle link(link_properties(), H5Pclose), create(H5Pcreate(H5P_GROUP_CREATE), H5Pclose);
  H5Pset_obj_track_times(create, false);
  const Handle group(made(H5Gcreate2(id_, path.c_str(), link, create, H5P_DEFAULT), path),
                     H5Gclose);
}

template <class T>
void Hdf5File::write(const std::string& path, std::span<const T> values,
                     std::vector<std::int64_t> extents) {
  std::vector<hsize_t> dims(extents.begin(), extents.end());
  if (dims.empty()) dims = {values.size()};
  write_dataset(id_, path, disk_type<T>(), memory_type<T>(), values.data(), dims);
}

void Hdf5File::write_texts(const std::string& path, std::span<const std::string> values) {
  // Fixed length: variable-length text lives in a heap that no filter reaches.
  std::size_t size = 1;
  for (const auto& value : values) size = std::max(size, value.size());
  std::vector<char> raw(size * values.size(), '\0');
  for (std::size_t i = 0; i < values.size(); ++i)
    std::copy(values[i].begin(), values[i].end(),
              raw.begin() + static_cast<std::ptrdiff_t>(i * size));
  const Handle type(text_type(size), H5Tclose);
  write_dataset(id_, path, type, type, raw.data(), {values.size()});
}

void Hdf5File::write_text(const std::string& path, const std::string& value) {
  const Handle type(text_type(std::max<std::size_t>(1, value.size())), H5Tclose);
  write_dataset(id_, path, type, type, value.empty() ? "" : value.data(), {});
}

void Hdf5File::write_number(const std::string& path, double value) {
  write_dataset(id_, path, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, &value, {});
}

void Hdf5File::hard_link(const std::string& existing, const std::string& path) {
  const Handle link(link_properties(), H5Pclose);
  made(H5Lcreate_hard(id_, existing.c_str(), id_, path.c_str(), link, H5P_DEFAULT), path);
}

void Hdf5File::external_link(const std::string& file, const std::string& object,
                             const std::string& path) {
  const Handle link(link_properties(), H5Pclose);
  made(H5Lcreate_external(file.c_str(), object.c_str(), id_, path.c_str(), link, H5P_DEFAULT),
       path);
}

void Hdf5File::copy_from(const Hdf5File& other, const std::string& object,
                         const std::string& path) {
  const Handle link(link_properties(), H5Pclose);
  if (H5Ocopy(other.id_, object.c_str(), id_, path.c_str(), H5P_DEFAULT, link) < 0) {
    other.damaged(object, "cannot be copied");
  }
}

template <class T>
void Hdf5File::set_numbers(const std::string& path, const std::string& name,
                           std::span<const T> values, bool scalar) {
  std::vector<hsize_t> dims;
  if (!scalar) dims = {values.size()};
  write_attribute(id_, path, name, disk_type<T>(), memory_type<T>(), values.data(), dims);
}

void Hdf5File::set(const std::string& path, const std::string& name, const std::string& value) {
  const Handle type(text_type(H5T_VARIABLE), H5Tclose);
  const char* pointer = value.c_str();
  write_attribute(id_, path, name, type, type, &pointer, {});
}
void Hdf5File::set(const std::string& path, const std::string& name, const char* value) {
  set(path, name, std::string(value));
}
void Hdf5File::set(const std::string& path, const std::string& name, std::int64_t value) {
  set_numbers<std::int64_t>(path, name, {&value, 1}, true);
}
void Hdf5File::set(const std::string& path, const std::string& name, std::int32_t value) {
  set_numbers<std::int32_t>(path, name, {&value, 1}, true);
}
void Hdf5File::set(const std::string& path, const std::string& name, double value) {
  set_numbers<double>(path, name, {&value, 1}, true);
}
void Hdf5File::set(const std::string& path, const std::string& name,
                   const std::vector<std::int64_t>& values) {
  set_numbers<std::int64_t>(path, name, values, false);
}
void Hdf5File::set(const std::string& path, const std::string& name,
                   const std::vector<float>& values) {
  set_numbers<float>(path, name, values, false);
}
void Hdf5File::set(const std::string& path, const std::string& name,
                   const std::vector<std::string>& values) {
  const Handle type(text_type(H5T_VARIABLE), H5Tclose);
  std::vector<const char*> pointers;
  for (const auto& value : values) pointers.push_back(value.c_str());
  write_attribute(id_, path, name, type, type, pointers.data(), {values.size()});
}

void Hdf5File::damaged(const std::string& path, const std::string& what) const {
  fail(ErrorKind::Input, "{}: {} {}; the file is damaged or was not written by winnow", label_,
       path, what);
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
    const ssize_t size =
        H5Lget_name_by_idx(handle, ".", H5_INDEX_NAME, H5_ITER_INC, i, nullptr, 0, H5P_DEFAULT);
    if (size < 0) damaged(group, "cannot be listed");
    std::string name(static_cast<std::size_t>(size) + 1, '\0');
    H5Lget_name_by_idx(handle, ".", H5_INDEX_NAME, H5_ITER_INC, i, name.data(), name.size(),
                       H5P_DEFAULT);
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
std::vector<std::int64_t> checked_extents(const Hdf5File& file, hid_t dataset,
                                          const std::string& path) {
  const Handle space(H5Dget_space(dataset), H5Sclose), kind(H5Dget_type(dataset), H5Tclose);
  const int rank = space.good() ? H5Sget_simple_extent_ndims(space) : -1;
  if (rank < 0 || !kind.good()) file.damaged(path, "has no readable shape");
  std::vector<hsize_t> dims(static_cast<std::size_t>(rank));
  H5Sget_simple_extent_dims(space, dims.data(), nullptr);
  const auto stored = static_cast<double>(H5Dget_storage_size(dataset));
  double claimed = static_cast<double>(H5Tget_size(kind));
  for (const hsize_t extent : dims) claimed *= static_cast<double>(extent);
  if (claimed > stored * static_cast<double>(kLargestRatio))
    file.damaged(path, "claims more data than is stored");
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
  if (!values.empty() &&
      H5Dread(dataset, memory_type<T>(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) < 0) {
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
      [&](hid_t memory, void* out) {
        return H5Dread(dataset, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, out);
      },
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
  const Handle attribute(H5Aopen_by_name(id_, path.c_str(), name.c_str(), H5P_DEFAULT, H5P_DEFAULT),
                         H5Aclose);
  const Handle kind(attribute.good() ? H5Aget_type(attribute) : -1, H5Tclose);
  const Handle space(attribute.good() ? H5Aget_space(attribute) : -1, H5Sclose);
  if (!kind.good() || !space.good()) damaged(place, "cannot be opened");
  const H5T_class_t type_class = H5Tget_class(kind);
  if (type_class != H5T_INTEGER && type_class != H5T_FLOAT) damaged(place, "does not hold numbers");
  const hssize_t count = H5Sget_simple_extent_npoints(space);
  if (count < 0 || count > 8192) damaged(place, "is too long");
  std::vector<T> values(static_cast<std::size_t>(count));
  if (count > 0 && H5Aread(attribute, memory_type<T>(), values.data()) < 0)
    damaged(place, "cannot be read");
  return values;
}

std::vector<std::string> Hdf5File::texts(const std::string& path,
                                         const std::string& attribute) const {
  const std::string place = path + "@" + attribute;
  if (!has(path, attribute)) damaged(place, "is missing");
  const Handle handle(
      H5Aopen_by_name(id_, path.c_str(), attribute.c_str(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
  const Handle kind(handle.good() ? H5Aget_type(handle) : -1, H5Tclose);
  const Handle space(handle.good() ? H5Aget_space(handle) : -1, H5Sclose);
  if (!kind.good() || !space.good() || H5Tget_class(kind) != H5T_STRING)
    damaged(place, "does not hold text");
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

std::vector<std::int64_t> Hdf5File::integers(const std::string& path,
                                             const std::string& attribute) const {
  return attribute_numbers<std::int64_t>(path, attribute);
}

std::vector<float> Hdf5File::floats(const std::string& path, const std::string& attribute) const {
  return attribute_numbers<float>(path, attribute);
}

std::string Hdf5File::digest(const std::function<bool(const std::string&)>& skip) const {
  Sha256 sum;
  for (const auto& name : children("/")) add_to(sum, "/" + name, skip);
  return sum.hex();
}

void Hdf5File::add_to(Sha256& sum, const std::string& path,
                      const std::function<bool(const std::string&)>& skip) const {
  if (skip(path)) return;
  sum.update(path);
  const Handle object(H5Oopen(id_, path.c_str(), H5P_DEFAULT), H5Oclose);
  H5O_info_t info{};
  if (!object.good() || H5Oget_info2(object, &info, H5O_INFO_NUM_ATTRS) < 0)
    damaged(path, "cannot be opened");
  for (hsize_t i = 0; i < info.num_attrs; ++i) {
    const Handle attribute(
        H5Aopen_by_idx(object, ".", H5_INDEX_NAME, H5_ITER_INC, i, H5P_DEFAULT, H5P_DEFAULT),
        H5Aclose);
    std::string name(256, '\0');
    const ssize_t size = H5Aget_name(attribute, name.size(), name.data());
    const Handle kind(H5Aget_type(attribute), H5Tclose);
    if (size < 0 || !kind.good()) damaged(path, "has an unreadable attribute");
    name.resize(std::min(static_cast<std::size_t>(size), name.size() - 1));
    sum.update(name);
    if (H5Tget_class(kind) == H5T_STRING) {
      for (const auto& value : texts(path, name)) sum.update(value);
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

template void Hdf5File::write(const std::string&, std::span<const float>,
                              std::vector<std::int64_t>);
template void Hdf5File::write(const std::string&, std::span<const double>,
                              std::vector<std::int64_t>);
template void Hdf5File::write(const std::string&, std::span<const std::int32_t>,
                              std::vector<std::int64_t>);
template void Hdf5File::write(const std::string&, std::span<const std::int64_t>,
                              std::vector<std::int64_t>);
template void Hdf5File::write(const std::string&, std::span<const std::uint8_t>,
                              std::vector<std::int64_t>);
template std::vector<float> Hdf5File::read(const std::string&) const;
template std::vector<double> Hdf5File::read(const std::string&) const;
template std::vector<std::int32_t> Hdf5File::read(const std::string&) const;
template std::vector<std::int64_t> Hdf5File::read(const std::string&) const;
template std::vector<std::uint8_t> Hdf5File::read(const std::string&) const;

std::int64_t filtered_size(std::span<const std::byte> values, std::size_t item_size) {
  if (values.size() < kFilterFrom) return static_cast<std::int64_t>(values.size());
  const std::size_t count = values.size() / item_size;
  const std::size_t chunk =
      values.size() <= kWholeChunk ? count : static_cast<std::size_t>(kChunkElements);
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
