// The reader of result files. What the HDF5 library makes of broken bytes is its own affair, and kept in child processes
// (isolated.h); here it is given whole HDF5 files that hold something else than a result: objects that are missing, of
// another type, shape or length, links in circles and out of the file, other attributes. Check sums and digests are right.
#include <fuzzer/FuzzedDataProvider.h>
#include <hdf5.h>

#include <array>

#include "experiments/results/container.h"
#include "experiments/results/hdf5.h"
#include "experiments/results/trial_content.h"
#include "experiments/results/trial_file.h"
#include "experiments/results/trial_record.h"
#include "experiments/sweep/identity.h"
#include "tests/fuzz/memory_files.h"
#include "tests/results/samples.h"

namespace winnow::fuzz {
namespace {

using Bytes = std::vector<std::byte>;

struct Base {
  Bytes image;                     // HDF5 alone
  std::vector<std::string> paths;  // of all objects
};

herr_t note_path(hid_t, const char* name, const H5O_info_t*, void* paths) {
  static_cast<std::vector<std::string>*>(paths)->emplace_back(name);
  return 0;
}

hid_t opened(Bytes& image) {
  const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
  H5Pset_fapl_core(access, 1 << 14, 0);
  H5Pset_file_image(access, image.data(), image.size());
  const hid_t file = H5Fopen("fuzzed", H5F_ACC_RDWR, access);
  H5Pclose(access);
  return file;
}

Bytes closed(hid_t file) {
  H5Fflush(file, H5F_SCOPE_LOCAL);
  Bytes image(static_cast<std::size_t>(std::max<ssize_t>(0, H5Fget_file_image(file, nullptr, 0))));
  H5Fget_file_image(file, image.data(), image.size());
  H5Fclose(file);
  return image;
}

const Base& base() {
  static const Base made = [] {
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
    TrialResult trial = test::sample_trial();
    trial.spec.id = trial_id(trial.spec.canonical());
    trial.weights = {test::pruned_weight("csr", {4, 6}, 0.3),     test::frozen_weight("overlay", {5, 5}, 0.2),
                     test::coded_weight("coded", {3, 8}, 0.5),    test::signed_weight("signed", {4, 4}, 0.5),
                     test::supermask_weight("mask", {4, 4}, 0.5), test::dense_weight("bias", {3})};
    const Bytes whole = encode_trial(trial, test::kCreated);
    const Unsealed content = unsealed(whole);
    Base result{
        {content.image.begin(), content.image.end() - static_cast<std::ptrdiff_t>(record_place(content.note)->bytes)},
        {}};
    const hid_t file = opened(result.image);
    H5Ovisit(file, H5_INDEX_NAME, H5_ITER_INC, note_path, &result.paths);
    H5Fclose(file);
    return result;
  }();
  return made;
}

class Editor {
 public:
  Editor(hid_t file, FuzzedDataProvider& data) : file_(file), data_(data) {}

  void edit() {
    const std::string path = some_path();
    switch (data_.ConsumeIntegralInRange(0, 5)) {
      case 0:
        H5Ldelete(file_, path.c_str(), H5P_DEFAULT);
        break;
      case 1:
        H5Ldelete(file_, path.c_str(), H5P_DEFAULT);
        add_dataset(path);
        break;
      case 2:
      case 3:
        set_attribute(path);
        break;
      case 4:
        H5Ldelete(file_, path.c_str(), H5P_DEFAULT);
        add_link(path);
        break;
      default:
        H5Lmove(file_, path.c_str(), file_, some_path().c_str(), H5P_DEFAULT, H5P_DEFAULT);
    }
  }

 private:
  std::string some_path() { return paths_[data_.ConsumeIntegralInRange<std::size_t>(0, paths_.size() - 1)]; }

  hid_t some_type() {
    const hid_t text = H5Tcopy(H5T_C_S1);
    switch (data_.ConsumeIntegralInRange(0, 8)) {
      case 0:
        return H5Tcopy(H5T_IEEE_F64LE);
      case 1:
        return H5Tcopy(H5T_IEEE_F32LE);
      case 2:
        return H5Tcopy(H5T_STD_I64LE);
      case 3:
        return H5Tcopy(H5T_STD_I32BE);
      case 4:
        return H5Tcopy(H5T_STD_U8LE);
      case 5:
        return H5Tcreate(H5T_OPAQUE, data_.ConsumeIntegralInRange<std::size_t>(1, 40));
      case 6: {
        const hid_t pair = H5Tcreate(H5T_COMPOUND, 16);
        H5Tinsert(pair, "a", 0, H5T_IEEE_F64LE);
        H5Tinsert(pair, "b", 8, H5T_STD_I64LE);
        return pair;
      }
      default:
        H5Tset_size(text, data_.ConsumeIntegralInRange<std::size_t>(1, 200));
        return text;
    }
  }
  hid_t some_space() {
    const int rank = data_.ConsumeIntegralInRange(0, 3);
    std::array<hsize_t, 3> extents{};
    for (hsize_t& extent : extents) extent = data_.ConsumeIntegralInRange<hsize_t>(0, 24);
    return rank == 0 ? H5Screate(data_.ConsumeBool() ? H5S_SCALAR : H5S_NULL)
                     : H5Screate_simple(rank, extents.data(), nullptr);
  }
  Bytes some_values(hid_t type, hid_t space) {
    const hssize_t count = std::max<hssize_t>(0, H5Sget_simple_extent_npoints(space));
    Bytes values(static_cast<std::size_t>(count) * H5Tget_size(type) + 1);
    const auto given = data_.ConsumeBytes<std::uint8_t>(std::min<std::size_t>(values.size(), 64));
    for (std::size_t i = 0; i < values.size() && !given.empty(); ++i) values[i] = std::byte{given[i % given.size()]};
    return values;
  }
  void add_dataset(const std::string& path) {
    const hid_t type = some_type(), space = some_space();
    const Bytes values = some_values(type, space);
    const hid_t dataset = H5Dcreate2(file_, path.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    if (dataset >= 0) {
      H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
      H5Dclose(dataset);
    }
    H5Sclose(space);
    H5Tclose(type);
  }
  void set_attribute(const std::string& path) {
    static const std::array<const char*, 24> names = {
        "schema",        "schema_version", "id",      "replicate",    "state",       "reason",
        "encoding-type", "column-order",   "_index",  "shape",        "levels",      "seed",
        "scale",         "tensor_shape",   "trained", "crc32",        "whole_shape", "left_0",
        "stream",        "fan_in",         "fan_out", "distribution", "check",       "measured"};
    const char* name = names[data_.ConsumeIntegralInRange<std::size_t>(0, names.size() - 1)];
    const hid_t object = H5Oopen(file_, data_.ConsumeBool() ? "/" : path.c_str(), H5P_DEFAULT);
    if (object < 0) return;
    H5Adelete(object, name);
    const hid_t type = some_type(), space = some_space();
    const Bytes values = some_values(type, space);
    const hid_t attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    if (attribute >= 0) {
      H5Awrite(attribute, type, values.data());
      H5Aclose(attribute);
    }
    H5Sclose(space);
    H5Tclose(type);
    H5Oclose(object);
  }
  void add_link(const std::string& path) {
    const std::string to = "/" + some_path();
    switch (data_.ConsumeIntegralInRange(0, 2)) {
      case 0:
        H5Lcreate_soft(to.c_str(), file_, path.c_str(), H5P_DEFAULT, H5P_DEFAULT);
        break;
      case 1:
        H5Lcreate_external("/etc/hosts", "/", file_, path.c_str(), H5P_DEFAULT, H5P_DEFAULT);
        break;
      default:
        H5Lcreate_hard(file_, data_.ConsumeBool() ? "/" : to.c_str(), file_, path.c_str(), H5P_DEFAULT, H5P_DEFAULT);
    }
  }

  hid_t file_;
  FuzzedDataProvider& data_;
  const std::vector<std::string>& paths_ = base().paths;
};

void set_digest(Bytes& image) {
  const std::string digest = trial_digest(Hdf5File::from_bytes(image, "fuzz.h5"));
  const hid_t file = opened(image), root = H5Gopen2(file, "/", H5P_DEFAULT);
  const hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR);
  H5Tset_size(type, digest.size());
  H5Adelete(root, "content_digest");
  const hid_t attribute = H5Acreate2(root, "content_digest", type, space, H5P_DEFAULT, H5P_DEFAULT);
  H5Awrite(attribute, type, digest.data());
  H5Aclose(attribute);
  H5Sclose(space);
  H5Tclose(type);
  H5Gclose(root);
  image = closed(file);
}

// As a child does: what the standard library throws is a line about the file as well.
void read_result(const Bytes& bytes) {
  refused_or_done([&] {
    try {
      examined_trial(bytes, "fuzz.h5");
    } catch (const Error&) {
      throw;
    } catch (const std::exception&) {
    }
  });
}

}  // namespace
}  // namespace winnow::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace winnow;
  using namespace winnow::fuzz;
  FuzzedDataProvider data(bytes, size);
  Bytes image = base().image;
  const hid_t file = opened(image);
  Editor editor(file, data);
  for (int edits = data.ConsumeIntegralInRange(0, 4); edits > 0; --edits) editor.edit();
  image = closed(file);
  refused_or_done([&] { set_digest(image); });
  read_result(sealed(image, R"({"schema":"winnow-trial"})"));
  return 0;
}
