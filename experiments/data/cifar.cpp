#include "experiments/data/cifar.h"

#include <iterator>
#include <system_error>

#include "core/error.h"

namespace winnow {
namespace {

constexpr std::int64_t kSide = 32, kChannels = 3, kPlane = kSide * kSide;

void append_file(const std::filesystem::path& path, const CifarFile& file, const CifarLayout& layout,
                 DataReader& reader, ImageSplit& split) {
  std::vector<std::int64_t> label_limits;  // of each label byte
  if (layout.coarse_classes > 0) label_limits.push_back(layout.coarse_classes);
  label_limits.push_back(layout.classes);
  const std::int64_t record = std::ssize(label_limits) + kChannels * kPlane;
  const std::int64_t size = file.records * record;
  const Bytes bytes = reader.read(path, fmt::format("{} bytes", size), static_cast<std::size_t>(size) + 1);
  if (static_cast<std::int64_t>(bytes.size()) != size) {
    fail(ErrorKind::Input, "{}: has {} bytes; expected {} ({} records of {})", path.string(), bytes.size(), size,
         file.records, record);
  }
  const std::size_t start = split.pixels.size();
  split.pixels.resize(start + static_cast<std::size_t>(file.records * kChannels * kPlane));
  std::uint8_t* out = split.pixels.data() + start;
  for (std::int64_t i = 0; i < file.records; ++i) {
    const std::uint8_t* in = bytes.data() + i * record;
    for (const std::int64_t limit : label_limits) {
      if (*in >= limit) {
        fail(ErrorKind::Input, "{}: label {} of record {}; expected 0 to {}", path.string(), *in, i, limit - 1);
      }
      ++in;
    }
    split.labels.push_back(in[-1]);
    // Planes to interleaved channels.
    for (std::int64_t p = 0; p < kPlane; ++p) {
      for (std::int64_t c = 0; c < kChannels; ++c) *out++ = in[c * kPlane + p];
    }
  }
}

}  // namespace

std::vector<std::filesystem::path> cifar_files(const std::filesystem::path& root, const CifarLayout& layout) {
  const std::filesystem::path below = root / layout.folder;
  std::error_code problem;
  const std::filesystem::path& folder = std::filesystem::is_directory(below, problem) ? below : root;
  std::vector<std::filesystem::path> files;
  for (const CifarFile& file : layout.train) files.push_back(folder / file.name);
  files.push_back(folder / layout.test.name);
  return files;
}

ImageData read_cifar(const std::vector<std::filesystem::path>& files, const CifarLayout& layout, DataReader& reader) {
  ImageData data;
  data.shape = {kSide, kSide, kChannels, layout.classes};
  for (std::size_t i = 0; i < layout.train.size(); ++i) {
    append_file(files.at(i), layout.train[i], layout, reader, data.train);
  }
  append_file(files.at(layout.train.size()), layout.test, layout, reader, data.test);
  data.digest = reader.digest();
  return data;
}

}  // namespace winnow
