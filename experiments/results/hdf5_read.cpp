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

const Hdf5File::Object& Hdf5File::object(const std::string& path) const {
  if (object_.id >= 0 && object_.path == path) return object_;
  if (!has(path)) damaged(path, "is missing");
  const hid_t opened = H5Oopen(id_, path.c_str(), H5P_DEFAULT);
  if (opened < 0) damaged(path, "cannot be opened");
  if (object_.id >= 0) H5Oclose(object_.id);
  object_ = {path, opened, Type::Other, 0};
  const H5I_type_t kind = H5Iget_type(opened);
  if (kind == H5I_GROUP) object_.type = Type::Group;
  if (kind != H5I_DATASET) return object_;
  check_storage(opened, path);
  const Handle type(H5Dget_type(opened), H5Tclose);
  object_.item_size = H5Tget_size(type);
  switch (H5Tget_class(type)) {
    case H5T_FLOAT:
      object_.type = Type::Real;
      break;
    case H5T_INTEGER:
      object_.type = Type::Integer;
      break;
    case H5T_STRING:
      object_.type = Type::Text;
      break;
    default:
      break;
  }
  return object_;
}

// Before anything is asked of its contents: data that lie in other files are never opened.
void Hdf5File::check_storage(std::int64_t dataset, const std::string& path) const {
  // One piece within this file, which is what has an offset; a property list costs more than reading a number.
  if (H5Dget_offset(dataset) != HADDR_UNDEF) return;
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
  return has(path) && H5Aexists(object(path).id, attribute.c_str()) > 0;
}

std::vector<std::string> Hdf5File::children(const std::string& group) const {
  if (type(group) != Type::Group) damaged(group, "is not a group");
  std::vector<std::string> names;
  for (const auto& [name, hard] : links(group)) names.push_back(name);
  return names;
}

Hdf5File::Type Hdf5File::type(const std::string& path) const { return object(path).type; }

// The number of items of a data set about to be read as items of `item_size` bytes, with a guard against headers that
// claim absurd sizes, one by one or together.
std::size_t Hdf5File::claim(const Object& dataset, std::size_t item_size) const {
  const Handle space(H5Dget_space(dataset.id), H5Sclose);
  const hssize_t count = space.good() ? H5Sget_simple_extent_npoints(space) : -1;
  if (count < 0) damaged(dataset.path, "has no readable shape");
  const auto items = static_cast<double>(count), size = static_cast<double>(dataset.item_size);
  const auto stored = static_cast<double>(H5Dget_storage_size(dataset.id));
  if (items * size > stored * static_cast<double>(kLargestRatio)) {
    damaged(dataset.path, "claims more data than is stored");
  }
  const double needed = items * std::max(size, static_cast<double>(item_size));
  if (needed > static_cast<double>(left_)) {
    damaged(dataset.path, "makes the file larger, once unpacked, than any of its kind");
  }
  left_ -= static_cast<std::size_t>(needed);
  return static_cast<std::size_t>(count);
}

template <class T>
std::vector<T> Hdf5File::read(const std::string& path) const {
  const Object& dataset = object(path);
  if (dataset.type != Type::Real && dataset.type != Type::Integer) damaged(path, "does not hold numbers");
  std::vector<T> values(claim(dataset, sizeof(T)));
  if (!values.empty() && H5Dread(dataset.id, memory_type<T>(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) < 0) {
    damaged(path, "cannot be read (check sum or filter)");
  }
  return values;
}

void Hdf5File::read_parts(const std::string& path, const std::function<void(std::span<const double>)>& take) const {
  const Object& dataset = object(path);
  const Handle space(H5Dget_space(dataset.id), H5Sclose);
  if (!space.good() || H5Sget_simple_extent_ndims(space) != 1) {
    const auto values = read<double>(path);
    return take(values);
  }
  if (dataset.type != Type::Real && dataset.type != Type::Integer) damaged(path, "does not hold numbers");
  const std::size_t count = claim(dataset, sizeof(double));
  std::vector<double> values(std::min(count, kPartOfColumn));
  for (hsize_t first = 0; first < count; first += values.size()) {
    const hsize_t size = std::min<hsize_t>(values.size(), count - first);
    const Handle part(H5Screate_simple(1, &size, nullptr), H5Sclose);
    if (H5Sselect_hyperslab(space, H5S_SELECT_SET, &first, nullptr, &size, nullptr) < 0 ||
        H5Dread(dataset.id, H5T_NATIVE_DOUBLE, part, space, H5P_DEFAULT, values.data()) < 0) {
      damaged(path, "cannot be read (check sum or filter)");
    }
    take(std::span(values).first(size));
  }
}

std::vector<std::string> Hdf5File::read_texts(const std::string& path) const {
  const Object& dataset = object(path);
  if (dataset.type != Type::Text) damaged(path, "does not hold text");
  const Handle kind(H5Dget_type(dataset.id), H5Tclose), space(H5Dget_space(dataset.id), H5Sclose);
  return texts_from(
      kind, space, claim(dataset, sizeof(std::string)),
      [&](hid_t memory, void* out) { return H5Dread(dataset.id, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, out); },
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
  const Handle attribute(H5Aopen(object(path).id, name.c_str(), H5P_DEFAULT), H5Aclose);
  return numbers_of<T>(attribute, place);
}

template <class T>
std::vector<T> Hdf5File::numbers_of(std::int64_t attribute, const std::string& place) const {
  const Handle kind(attribute >= 0 ? H5Aget_type(attribute) : -1, H5Tclose);
  const Handle space(attribute >= 0 ? H5Aget_space(attribute) : -1, H5Sclose);
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
  const Handle handle(H5Aopen(object(path).id, attribute.c_str(), H5P_DEFAULT), H5Aclose);
  return texts_of(handle, place);
}

std::vector<std::string> Hdf5File::texts_of(std::int64_t attribute, const std::string& place) const {
  const Handle kind(attribute >= 0 ? H5Aget_type(attribute) : -1, H5Tclose);
  const Handle space(attribute >= 0 ? H5Aget_space(attribute) : -1, H5Sclose);
  if (!kind.good() || !space.good() || H5Tget_class(kind) != H5T_STRING) damaged(place, "does not hold text");
  const hssize_t count = H5Sget_simple_extent_npoints(space);
  if (count < 0 || count > 8192 || static_cast<std::size_t>(count) * H5Tget_size(kind) > kLargestAttribute) {
    damaged(place, "is too long");
  }
  return texts_from(
      kind, space, static_cast<std::size_t>(count),
      [&](hid_t memory, void* out) { return H5Aread(attribute, memory, out); },
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

template std::vector<double> Hdf5File::numbers_of(std::int64_t, const std::string&) const;
template std::vector<float> Hdf5File::read(const std::string&) const;
template std::vector<double> Hdf5File::read(const std::string&) const;
template std::vector<std::int32_t> Hdf5File::read(const std::string&) const;
template std::vector<std::int64_t> Hdf5File::read(const std::string&) const;
template std::vector<std::uint8_t> Hdf5File::read(const std::string&) const;

}  // namespace winnow
