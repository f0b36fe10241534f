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

namespace {

// Deeper than any file of ours; a group that contains itself has no depth.
constexpr std::ptrdiff_t kDeepest = 16;
constexpr std::size_t kLargestAttribute = std::size_t{1} << 20;

bool is_ours(H5Z_filter_t filter) {
  return filter == H5Z_FILTER_SHUFFLE || filter == H5Z_FILTER_DEFLATE || filter == H5Z_FILTER_FLETCHER32;
}

herr_t note_link(hid_t, const char* name, const H5L_info_t* info, void* links) {
  (*static_cast<std::map<std::string, bool>*>(links))[name] = info->type == H5L_TYPE_HARD;
  return 0;
}

}  // namespace

// `group` must be a path whose own links were found to stay in the file.
const Hdf5File::Links& Hdf5File::links(const std::string& group) const {
  const auto found = listed_.find(group);
  if (found != listed_.end()) return found->second;
  Links names;
  const Handle handle(H5Gopen2(id_, group.c_str(), H5P_DEFAULT), H5Gclose);
  if (handle.good() && H5Literate(handle, H5_INDEX_NAME, H5_ITER_INC, nullptr, note_link, &names) < 0) {
    damaged(group, "cannot be listed");
  }
  return listed_.emplace(group, std::move(names)).first->second;
}

// Every link of the path is looked at before the library follows it.
bool Hdf5File::has(const std::string& path) const {
  if (path == "/") return true;
  if (std::count(path.begin(), path.end(), '/') > kDeepest) damaged(path.substr(0, 64), "is nested too deep");
  const std::size_t slash = path.rfind('/');
  const std::string parent = slash == 0 ? "/" : path.substr(0, slash);
  if (!listed_.contains(parent) && !has(parent)) return false;
  const Links& siblings = links(parent);
  const auto found = siblings.find(path.substr(slash + 1));
  if (found == siblings.end()) return false;
  if (!found->second) damaged(path, "is a link to another place, which is not followed");
  return true;
}

std::int64_t Hdf5File::object(const std::string& path) const {
  if (object_ >= 0 && object_path_ == path) return object_;
  if (!has(path)) damaged(path, "is missing");
  const hid_t opened = H5Oopen(id_, path.c_str(), H5P_DEFAULT);
  if (opened < 0) damaged(path, "cannot be opened");
  if (object_ >= 0) H5Oclose(object_);
  object_ = opened;
  object_path_ = path;
  if (H5Iget_type(opened) == H5I_DATASET) check_dataset(opened, path);
  return object_;
}

// Before anything is asked of its contents: data that lie in other files are never opened.
void Hdf5File::check_dataset(std::int64_t dataset, const std::string& path) const {
  const Handle create(H5Dget_create_plist(dataset), H5Pclose);
  if (!create.good()) damaged(path, "cannot be opened");
  if (H5Pget_external_count(create) != 0) damaged(path, "keeps its data in another file, which is not read");
  const H5D_layout_t layout = H5Pget_layout(create);
  if (layout == H5D_VIRTUAL) damaged(path, "is put together from other data sets, which are not read");
  if (layout < 0) damaged(path, "has an unknown layout");
  const int filters = layout == H5D_CHUNKED ? H5Pget_nfilters(create) : 0;
  for (int i = 0; i < filters; ++i) {
    unsigned int flags = 0, config = 0;
    std::size_t values = 0;
    const auto filter = H5Pget_filter2(create, static_cast<unsigned>(i), &flags, &values, nullptr, 0, nullptr, &config);
    if (!is_ours(filter)) damaged(path, fmt::format("needs the filter {}, which winnow does not use", int{filter}));
  }
}

void Hdf5File::check_below(const std::string& path) const {
  if (type(path) != Type::Group) return;
  for (const auto& name : children(path)) check_below(path + "/" + name);
}

bool Hdf5File::has(const std::string& path, const std::string& attribute) const {
  return has(path) && H5Aexists(object(path), attribute.c_str()) > 0;
}

std::vector<std::string> Hdf5File::children(const std::string& group) const {
  if (type(group) != Type::Group) damaged(group, "is not a group");
  std::vector<std::string> names;
  for (const auto& [name, hard] : links(group)) names.push_back(name);
  return names;
}

Hdf5File::Type Hdf5File::type(const std::string& path) const {
  const hid_t opened = object(path);
  if (H5Iget_type(opened) == H5I_GROUP) return Type::Group;
  if (H5Iget_type(opened) != H5I_DATASET) return Type::Other;
  const Handle kind(H5Dget_type(opened), H5Tclose);
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

std::size_t count_of(const std::vector<std::int64_t>& extents) {
  std::size_t count = 1;
  for (const std::int64_t extent : extents) count *= static_cast<std::size_t>(extent);
  return count;
}

}  // namespace

// The extents of an open data set about to be read as items of `item_size` bytes, with a guard against headers that
// claim absurd sizes, one by one or together.
std::vector<std::int64_t> Hdf5File::claim(std::int64_t dataset, const std::string& path, std::size_t item_size) const {
  const Handle space(H5Dget_space(dataset), H5Sclose), kind(H5Dget_type(dataset), H5Tclose);
  const int rank = space.good() ? H5Sget_simple_extent_ndims(space) : -1;
  if (rank < 0 || !kind.good()) damaged(path, "has no readable shape");
  std::vector<hsize_t> dims(static_cast<std::size_t>(rank));
  H5Sget_simple_extent_dims(space, dims.data(), nullptr);
  const auto stored = static_cast<double>(H5Dget_storage_size(dataset));
  double items = 1;
  for (const hsize_t extent : dims) items *= static_cast<double>(extent);
  const auto size = static_cast<double>(H5Tget_size(kind));
  if (items * size > stored * static_cast<double>(kLargestRatio)) damaged(path, "claims more data than is stored");
  const double needed = items * std::max(size, static_cast<double>(item_size));
  if (needed > static_cast<double>(left_)) damaged(path, "makes the file larger, once unpacked, than any of its kind");
  left_ -= static_cast<std::size_t>(needed);
  return {dims.begin(), dims.end()};
}

template <class T>
std::vector<T> Hdf5File::read(const std::string& path) const {
  const Type kind = type(path);
  if (kind != Type::Real && kind != Type::Integer) damaged(path, "does not hold numbers");
  const hid_t dataset = object(path);
  std::vector<T> values(count_of(claim(dataset, path, sizeof(T))));
  if (!values.empty() && H5Dread(dataset, memory_type<T>(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) < 0) {
    damaged(path, "cannot be read (check sum or filter)");
  }
  return values;
}

std::vector<std::string> Hdf5File::read_texts(const std::string& path) const {
  if (type(path) != Type::Text) damaged(path, "does not hold text");
  const hid_t dataset = object(path);
  const Handle kind(H5Dget_type(dataset), H5Tclose), space(H5Dget_space(dataset), H5Sclose);
  const std::size_t count = count_of(claim(dataset, path, sizeof(std::string)));
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
  const Handle attribute(H5Aopen(object(path), name.c_str(), H5P_DEFAULT), H5Aclose);
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
  const Handle handle(H5Aopen(object(path), attribute.c_str(), H5P_DEFAULT), H5Aclose);
  const Handle kind(handle.good() ? H5Aget_type(handle) : -1, H5Tclose);
  const Handle space(handle.good() ? H5Aget_space(handle) : -1, H5Sclose);
  if (!kind.good() || !space.good() || H5Tget_class(kind) != H5T_STRING) damaged(place, "does not hold text");
  const hssize_t count = H5Sget_simple_extent_npoints(space);
  if (count < 0 || count > 8192 || static_cast<std::size_t>(count) * H5Tget_size(kind) > kLargestAttribute) {
    damaged(place, "is too long");
  }
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
