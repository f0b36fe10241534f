#include "experiments/data/file_dataset.h"

#include <fmt/format.h>

#include "core/error.h"
#include "experiments/data/idx.h"
#include "experiments/data/raw_file.h"
#include "experiments/data/root_advice.h"

namespace winnow {
namespace {

using Files = std::vector<std::filesystem::path>;

// `find` names the files below the root, `read` loads them.
DatasetDef file_dataset(const FileDataset& parts, const std::function<Files(const std::filesystem::path&)>& find,
                        const std::function<ImageData(const Files&)>& read) {
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
  def.locate = [name = def.name, find](const Settings& settings) {
    const std::filesystem::path root = expand_path(settings.text("root"));
    for (const std::filesystem::path& file : find(root)) {
      std::error_code problem;
      if (!std::filesystem::exists(file, problem)) {
        fail(ErrorKind::Input, "{}: no such file; data.root must hold the files of {}{}", file.string(), name,
             root_advice(root));
      }
    }
  };
  def.open = [traits = parts.traits, find, read](const Settings& settings) {
    const Files files = find(expand_path(settings.text("root")));
    std::shared_ptr<const ImageData> data =
        shared_image_data(traits.name + "\n" + fingerprint(files), [&] { return read(files); });
    return std::make_unique<ImageDataset>(traits, image_options(traits, settings), std::move(data));
  };
  return def;
}

}  // namespace

DatasetDef idx_dataset(const FileDataset& parts) {
  return file_dataset(parts, idx_files, [shape = parts.shape](const Files& files) { return read_idx(files, shape); });
}

DatasetDef cifar_dataset(const FileDataset& parts, const CifarLayout& layout) {
  return file_dataset(
      parts, [layout](const std::filesystem::path& root) { return cifar_files(root, layout); },
      [layout](const Files& files) { return read_cifar(files, layout); });
}

}  // namespace winnow
