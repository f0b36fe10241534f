#include "experiments/results/hdf5.h"

#include <pthread.h>

#include <algorithm>
#include <limits>
#include <new>
#include <utility>

#include "experiments/results/hdf5_handle.h"

namespace winnow {
namespace {

// Why a write failed, in the words of the system; empty: none has since that was last set. Guarded by library().
std::string& system_said() {
  static std::string words;
  return words;
}

// The system's words are in one of the messages that the library has for its makers.
herr_t note_entry(unsigned, const H5E_error2_t* entry, void*) {
  const std::string_view said = entry->desc == nullptr ? "" : entry->desc;
  constexpr std::string_view kBegin = "error message = '";
  if (const auto begin = said.find(kBegin); begin != std::string_view::npos && system_said().empty()) {
    const auto rest = said.substr(begin + kBegin.size());
    system_said() = rest.substr(0, rest.find('\''));
  }
  return 0;
}
// Of any call that fails, also of those that close something and whose answer nobody takes: what could not be written then
// is missing in the file.
herr_t note_failure(hid_t stack, void*) { return H5Ewalk2(stack, H5E_WALK_DOWNWARD, note_entry, nullptr); }

std::recursive_mutex& library() {
  static std::recursive_mutex mutex;
  // A child that is forked while a file is open here owns nothing of what the parent locked, and would wait for it
  // forever. The library is locked while a process forks, so that no other thread is in the middle of a call, and the
  // child's only thread begins with the lock free.
  static const int ready_to_fork = pthread_atfork([] { library().lock(); }, [] { library().unlock(); },
                                                  [] { new (&library()) std::recursive_mutex; });
  (void)ready_to_fork;
  // No messages of the library's own, and no filters from files that the environment names. Nothing is left open for it to
  // close when the process ends, but a file on a full disk, which it could not close before and over which it would crash.
  static const bool quiet = [] {
    return H5dont_atexit() >= 0 && H5Eset_auto2(H5E_DEFAULT, note_failure, nullptr) >= 0 &&
           H5PLset_loading_state(0) >= 0;
  }();
  (void)quiet;
  return mutex;
}

// Property lists that all objects share are made once; making one takes as long as writing a number.
hid_t link_properties() {
  static const hid_t shared = [] {
    const hid_t list = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(list, 1);
    H5Pset_char_encoding(list, H5T_CSET_UTF8);
    return list;
  }();
  return shared;
}

hid_t plain_dataset() {
  static const hid_t shared = [] {
    const hid_t list = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_obj_track_times(list, false);
    return list;
  }();
  return shared;
}

// The library takes two open files of one name for the same file, in memory too, and looks on the disk for one that has it. So it
// is a name that no file can have, in whatever folder winnow is started.
std::string memory_name() {
  static std::uint64_t count = 0;  // guarded by library()
  return "/dev/null/winnow-in-memory-" + std::to_string(++count);
}

enum class Medium { Memory, Disk };
hid_t access_properties(Medium medium) {
  const hid_t list = H5Pcreate(H5P_FILE_ACCESS);
  if (medium == Medium::Memory) H5Pset_fapl_core(list, std::size_t{1} << 16, 0);
    // Network file systems that know no locks would refuse; a draft has one writer by its name.
#if H5_VERSION_GE(1, 12, 1) || (H5_VERSION_GE(1, 10, 7) && !H5_VERSION_GE(1, 12, 0))
  if (medium == Medium::Disk) H5Pset_file_locking(list, false, true);
#endif
  if (medium == Medium::Disk) H5Pset_meta_block_size(list, hsize_t{1} << 16);  // small objects are written together
  H5Pset_libver_bounds(list, H5F_LIBVER_EARLIEST, H5F_LIBVER_V18);
  return list;
}

hid_t file_properties() {
  const hid_t list = H5Pcreate(H5P_FILE_CREATE);
  H5Pset_obj_track_times(list, false);
  return list;
}

hid_t space_of(const std::vector<hsize_t>& extents) {
  return extents.empty() ? H5Screate(H5S_SCALAR)
                         : H5Screate_simple(static_cast<int>(extents.size()), extents.data(), nullptr);
}

// The largest trailing block of at most kChunkElements elements, so that a chunk is contiguous in the array.
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

void write_dataset(hid_t file, Hdf5File::Storage storage, const std::string& path, hid_t on_disk, hid_t in_memory,
                   const void* data, const std::vector<hsize_t>& extents) {
  const Handle space(space_of(extents), H5Sclose);
  const std::size_t item_size = H5Tget_size(on_disk);
  const auto count = static_cast<std::size_t>(made(H5Sget_simple_extent_npoints(space), path));
  const bool filtered = storage == Hdf5File::Storage::Filters && !extents.empty() && count * item_size >= kFilterFrom;
  const Handle chunked(filtered ? H5Pcopy(plain_dataset()) : -1, H5Pclose);
  if (filtered) {
    const auto chunk = chunk_of(extents, item_size);
    made(H5Pset_chunk(chunked, static_cast<int>(chunk.size()), chunk.data()), path);
    made(H5Pset_shuffle(chunked), path);
    made(H5Pset_deflate(chunked, kDeflateLevel), path);
    made(H5Pset_fletcher32(chunked), path);
  }
  const hid_t create = filtered ? chunked : plain_dataset();
  const Handle dataset(
      made(H5Dcreate2(file, path.c_str(), on_disk, space, link_properties(), create, H5P_DEFAULT), path), H5Dclose);
  if (count > 0) made(H5Dwrite(dataset, in_memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, data), path);
}

void write_attribute(hid_t object, const std::string& path, const std::string& name, hid_t on_disk, hid_t in_memory,
                     const void* data, const std::vector<hsize_t>& extents) {
  const Handle space(space_of(extents), H5Sclose);
  const hid_t attribute = H5Acreate2(object, name.c_str(), on_disk, space, H5P_DEFAULT, H5P_DEFAULT);
  const Handle closed(made(attribute, path + "@" + name), H5Aclose);
  if (extents.empty() || extents[0] > 0) made(H5Awrite(attribute, in_memory, data), path + "@" + name);
}

}  // namespace

void writing_failed(const std::string& what) {
  if (!system_said().empty()) fail(ErrorKind::Io, "{}: cannot write: {}", what, system_said());
  fail(ErrorKind::Internal, "HDF5 could not write {}", what);
}

Hdf5File::Hdf5File(std::int64_t id, std::string label, std::unique_lock<std::recursive_mutex> lock)
    : lock_(std::move(lock)), id_(id), label_(std::move(label)) {}

Hdf5File::Hdf5File(Hdf5File&& other) noexcept
    : lock_(std::move(other.lock_)),
      id_(std::exchange(other.id_, -1)),
      storage_(other.storage_),
      on_disk_(other.on_disk_),
      label_(std::move(other.label_)),
      listed_(std::move(other.listed_)),
      object_(std::exchange(other.object_, {})),
      left_(other.left_) {}

Hdf5File::~Hdf5File() {
  changed();
  // Over what it could not write the library would crash: it stays open, as what has failed is soon over.
  const bool is_spoilt = on_disk_ && !system_said().empty();
  if (id_ >= 0 && !is_spoilt) H5Fclose(id_);
}

void Hdf5File::changed() {
  listed_.clear();
  if (object_.id >= 0) H5Oclose(object_.id);
  object_ = {};
}

Hdf5File Hdf5File::create(Storage storage) {
  std::unique_lock lock(library());
  const Handle access(access_properties(Medium::Memory), H5Pclose), create(file_properties(), H5Pclose);
  const hid_t id = made(H5Fcreate(memory_name().c_str(), H5F_ACC_TRUNC, create, access), "a file in memory");
  Hdf5File file(id, "the file being written", std::move(lock));
  file.storage_ = storage;
  return file;
}

Hdf5File Hdf5File::create_at(const std::string& path) {
  std::unique_lock lock(library());
  system_said().clear();
  const Handle access(access_properties(Medium::Disk), H5Pclose), create(file_properties(), H5Pclose);
  return of_disk(made(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, create, access), path), path, std::move(lock));
}

Hdf5File Hdf5File::reopen(const std::string& path) {
  std::unique_lock lock(library());
  system_said().clear();
  const Handle access(access_properties(Medium::Disk), H5Pclose);
  return of_disk(made(H5Fopen(path.c_str(), H5F_ACC_RDWR, access), path), path, std::move(lock));
}

Hdf5File Hdf5File::of_disk(std::int64_t id, const std::string& path, std::unique_lock<std::recursive_mutex> lock) {
  Hdf5File file(id, path, std::move(lock));
  file.storage_ = Storage::Plain;
  file.on_disk_ = true;
  file.left_ = std::numeric_limits<std::size_t>::max();  // it is ours
  return file;
}

void Hdf5File::close() {
  changed();
  made(H5Fclose(std::exchange(id_, -1)), label_);
  if (!system_said().empty()) writing_failed(label_);
}

Hdf5File Hdf5File::from_bytes(std::span<const std::byte> bytes, std::string label, std::size_t largest) {
  std::unique_lock lock(library());
  const Handle access(access_properties(Medium::Memory), H5Pclose);
  // The library copies the image; the pointer is not const in its interface.
  if (H5Pset_file_image(access, const_cast<std::byte*>(bytes.data()), bytes.size()) < 0) {
    fail(ErrorKind::Input, "{}: is empty or too large", label);
  }
  const hid_t id = H5Fopen(memory_name().c_str(), H5F_ACC_RDONLY, access);
  if (id < 0) fail(ErrorKind::Input, "{}: is not an HDF5 file, or is damaged", label);
  Hdf5File file(id, std::move(label), std::move(lock));
  file.left_ = largest;
  return file;
}

std::vector<std::byte> Hdf5File::bytes(std::size_t room) {
  made(H5Fflush(id_, H5F_SCOPE_LOCAL), "the file");
  const ssize_t size = made(H5Fget_file_image(id_, nullptr, 0), "the file");
  std::vector<std::byte> image;
  image.reserve(static_cast<std::size_t>(size) + room);
  image.resize(static_cast<std::size_t>(size));
  made(H5Fget_file_image(id_, image.data(), image.size()), "the file");
  return image;
}

void Hdf5File::make_group(const std::string& path) {
  changed();
  const Handle create(H5Pcreate(H5P_GROUP_CREATE), H5Pclose);
  H5Pset_obj_track_times(create, false);
  const Handle group(made(H5Gcreate2(id_, path.c_str(), link_properties(), create, H5P_DEFAULT), path), H5Gclose);
}

template <class T>
void Hdf5File::write(const std::string& path, std::span<const T> values, std::vector<std::int64_t> extents) {
  changed();
  std::vector<hsize_t> dims(extents.begin(), extents.end());
  if (dims.empty()) dims = {values.size()};
  write_dataset(id_, storage_, path, disk_type<T>(), memory_type<T>(), values.data(), dims);
}

void Hdf5File::write_texts(const std::string& path, std::span<const std::string> values) {
  changed();
  // Fixed length: variable-length text lives in a heap that no filter reaches.
  std::size_t size = 1;
  for (const auto& value : values) size = std::max(size, value.size());
  std::vector<char> raw(size * values.size(), '\0');
  for (std::size_t i = 0; i < values.size(); ++i)
    std::copy(values[i].begin(), values[i].end(), raw.begin() + static_cast<std::ptrdiff_t>(i * size));
  const Handle type(text_type(size), H5Tclose);
  write_dataset(id_, storage_, path, type, type, raw.data(), {values.size()});
}

void Hdf5File::write_text(const std::string& path, const std::string& value) {
  changed();
  const Handle type(text_type(std::max<std::size_t>(1, value.size())), H5Tclose);
  write_dataset(id_, storage_, path, type, type, value.empty() ? "" : value.data(), {});
}

void Hdf5File::write_number(const std::string& path, double value) {
  changed();
  write_dataset(id_, storage_, path, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, &value, {});
}

void Hdf5File::hard_link(const std::string& existing, const std::string& path) {
  changed();
  made(H5Lcreate_hard(id_, existing.c_str(), id_, path.c_str(), link_properties(), H5P_DEFAULT), path);
}

void Hdf5File::external_link(const std::string& file, const std::string& object, const std::string& path) {
  changed();
  made(H5Lcreate_external(file.c_str(), object.c_str(), id_, path.c_str(), link_properties(), H5P_DEFAULT), path);
}

void Hdf5File::copy_from(const Hdf5File& other, const std::string& object, const std::string& path) {
  changed();
  other.check_below(object);
  if (H5Ocopy(other.id_, object.c_str(), id_, path.c_str(), H5P_DEFAULT, link_properties()) < 0) {
    if (!system_said().empty()) writing_failed(path);
    other.damaged(object, "cannot be copied");
  }
}

template <class T>
void Hdf5File::set_numbers(const std::string& path, const std::string& name, std::span<const T> values, bool scalar) {
  std::vector<hsize_t> dims;
  if (!scalar) dims = {values.size()};
  write_attribute(object(path).id, path, name, disk_type<T>(), memory_type<T>(), values.data(), dims);
}

void Hdf5File::set(const std::string& path, const std::string& name, const std::string& value) {
  const Handle type(text_type(H5T_VARIABLE), H5Tclose);
  const char* pointer = value.c_str();
  write_attribute(object(path).id, path, name, type, type, &pointer, {});
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
void Hdf5File::set_flag(const std::string& path, const std::string& name, bool value) {
  const auto byte = static_cast<signed char>(value);
  const Handle type(H5Tenum_create(H5T_STD_I8LE), H5Tclose);
  for (const auto member : {static_cast<signed char>(0), static_cast<signed char>(1)})
    H5Tenum_insert(type, member == 0 ? "FALSE" : "TRUE", &member);
  write_attribute(object(path).id, path, name, type, type, &byte, {});
}
void Hdf5File::set(const std::string& path, const std::string& name, const std::vector<std::int64_t>& values) {
  set_numbers<std::int64_t>(path, name, values, false);
}
void Hdf5File::set(const std::string& path, const std::string& name, const std::vector<float>& values) {
  set_numbers<float>(path, name, values, false);
}
void Hdf5File::set(const std::string& path, const std::string& name, const std::vector<std::string>& values) {
  const Handle type(text_type(H5T_VARIABLE), H5Tclose);
  std::vector<const char*> pointers;
  for (const auto& value : values) pointers.push_back(value.c_str());
  write_attribute(object(path).id, path, name, type, type, pointers.data(), {values.size()});
}

template void Hdf5File::write(const std::string&, std::span<const float>, std::vector<std::int64_t>);
template void Hdf5File::write(const std::string&, std::span<const double>, std::vector<std::int64_t>);
template void Hdf5File::write(const std::string&, std::span<const std::int32_t>, std::vector<std::int64_t>);
template void Hdf5File::write(const std::string&, std::span<const std::int64_t>, std::vector<std::int64_t>);
template void Hdf5File::write(const std::string&, std::span<const std::uint8_t>, std::vector<std::int64_t>);

}  // namespace winnow
