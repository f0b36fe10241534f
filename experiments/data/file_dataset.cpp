#include "experiments/data/file_dataset.h"

#include <fmt/format.h>

#include "experiments/data/idx.h"
#include "experiments/data/raw_file.h"

namespace winnow {
namespace {

using Paths = std::vector<std::filesystem::path>;

// `find` names the files below the root, `read` loads them.
DatasetDef file_dataset(const FileDataset& parts, const std::function<Paths(const std::filesystem::path&)>& find,
                        const std::function<ImageData(const Paths&, DataReader&)>& read) {
  constexpr std::int64_t kHeldOut = 5000;
  DatasetDef def;
  def.name = parts.traits.name;
  def.meaning = parts.meaning;
  def.source = parts.source;
  def.schema = image_schema(parts.traits, parts.augment.c_str(), kHeldOut);
  def.schema.push_back({.key = "root",
                        .kind = Setting::Kind::Path,
                        .fallback = parts.root,
                        .meaning = "folder of the data set's files",
                        .source = "ours: where this machine keeps them"});
  def.shape = [shape = parts.shape](const Settings&) { return shape; };
  def.train_examples = [total = parts.examples](const Settings& settings) { return train_examples(total, settings); };
  def.files = [find](const Settings& settings) { return find(expand_path(settings.text("root"))); };
  const auto load = [name = def.name, published = parts.published, read](const Paths& files) {
    return shared_image_data(name + "\n" + fingerprint(files), [&] {
      DataReader reader(published);
      ImageData data = read(files, reader);
      data.remark = remark_on(name, data, reader.changed());
      return data;
    });
  };
  def.remark = [load, files = def.files](const Settings& settings) { return load(files(settings))->remark; };
  def.open = [traits = parts.traits, load, files = def.files](const Settings& settings) {
    return std::make_unique<ImageDataset>(traits, image_options(traits, settings), load(files(settings)));
  };
  return def;
}

}  // namespace

DatasetDef idx_dataset(const FileDataset& parts) {
  return file_dataset(parts, idx_files, [shape = parts.shape](const Paths& files, DataReader& reader) {
    return read_idx(files, shape, reader);
  });
}

DatasetDef cifar_dataset(const FileDataset& parts, const CifarLayout& layout) {
  return file_dataset(
      parts, [layout](const std::filesystem::path& root) { return cifar_files(root, layout); },
      [layout](const Paths& files, DataReader& reader) { return read_cifar(files, layout, reader); });
}

}  // namespace winnow
