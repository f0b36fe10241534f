#include "experiments/data/cifar.h"

#include <system_error>

#include "core/error.h"
#include "experiments/data/raw_file.h"

namespace winnow {
namespace {

constexpr std::int64_t kSide = 32, kChannels = 3, kPlane = kSide * kSide;

void append_file(const std::filesystem::path& path, const CifarFile& file, const CifarLayout& layout, Sha256& digest,
                 ImageSplit& split) {
  const std::int64_t record = layout.label_bytes + kChannels * kPlane;
  const std::int64_t size = file.records * record;
  const Bytes bytes = read_data_file(path, fmt::format("{} bytes", size), digest);
  if (static_cast<std::int64_t>(bytes.size()) != size) {
    fail(ErrorKind::Input, "{}: has {} bytes; expected {} ({} records of {})", path.string(), bytes.size(), size,
         file.records, record);
  }
  const std::size_t start = split.pixels.size();
  split.pixels.resize(start + static_cast<std::size_t>(file.records * kChannels * kPlane));
  std::uint8_t* out = split.pixels.data() + start;
  for (std::int64_t i = 0; i < file.records; ++i) {
    const std::uint8_t* in = bytes.data() + i * record;
    const int label = in[layout.label_bytes - 1];
    if (label >= layout.classes) {
      fail(ErrorKind::Input, "{}: label {} of record {}; expected 0 to {}", path.string(), label, i,
           layout.classes - 1);
    }
    split.labels.push_back(label);
    in += layout.label_bytes;
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

ImageData read_cifar(const std::vector<std::filesystem::path>& files, const CifarLayout& layout) {
  Sha256 digest;
  ImageData data;
  data.shape = {kSide, kSide, kChannels, layout.classes};
  for (std::size_t i = 0; i < layout.train.size(); ++i) {
    append_file(files.at(i), layout.train[i], layout, digest, data.train);
  }
  append_file(files.at(layout.train.size()), layout.test, layout, digest, data.test);
  data.digest = digest.hex();
  return data;
}

}  // namespace winnow
