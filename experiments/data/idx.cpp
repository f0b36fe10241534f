#include "experiments/data/idx.h"

#include <system_error>

#include "core/error.h"

namespace winnow {
namespace {

// More than any data set of this form has (EMNIST: 697932): a damaged file cannot ask for more memory.
constexpr std::size_t kMostExamples = 1'000'000;
constexpr std::uint32_t kLabelMagic = 0x00000801, kImageMagic = 0x00000803;

std::uint32_t big_endian(const Bytes& bytes, std::size_t at) {
  return (std::uint32_t{bytes[at]} << 24) | (std::uint32_t{bytes[at + 1]} << 16) | (std::uint32_t{bytes[at + 2]} << 8) |
         std::uint32_t{bytes[at + 3]};
}

// Checks magic number and size; `item` is the bytes of one item, `header` those before the first.
std::uint64_t count_items(const Bytes& bytes, const std::filesystem::path& path, std::uint32_t magic,
                          std::size_t header, std::uint64_t item) {
  if (bytes.size() < header) {
    fail(ErrorKind::Input, "{}: too short, {} bytes; an IDX header alone needs {}", path.string(), bytes.size(),
         header);
  }
  if (big_endian(bytes, 0) != magic) {
    fail(ErrorKind::Input, "{}: wrong magic number 0x{:08x}; expected 0x{:08x} ({})", path.string(),
         big_endian(bytes, 0), magic, magic == kImageMagic ? "images of unsigned bytes" : "labels of unsigned bytes");
  }
  const std::uint64_t items = big_endian(bytes, 4);
  const std::uint64_t expected = header + items * item;
  if (bytes.size() != expected) {
    fail(ErrorKind::Input, "{}: has {} bytes; expected {} for the {} items its header promises", path.string(),
         bytes.size(), expected, items);
  }
  return items;
}

ImageSplit read_split(const std::filesystem::path& image_path, const std::filesystem::path& label_path,
                      const DataShape& shape, DataReader& reader) {
  constexpr std::size_t kImageHeader = 16, kLabelHeader = 8;
  const auto image_bytes = static_cast<std::uint64_t>(shape.height * shape.width);
  const std::string image_expected =
      fmt::format("IDX images, {} bytes of header and {} bytes each", kImageHeader, image_bytes);
  const Bytes images = reader.read(image_path, image_expected, kImageHeader + kMostExamples * image_bytes);
  if (images.size() >= kImageHeader && big_endian(images, 0) == kImageMagic &&
      (big_endian(images, 8) != static_cast<std::uint64_t>(shape.height) ||
       big_endian(images, 12) != static_cast<std::uint64_t>(shape.width))) {
    fail(ErrorKind::Input, "{}: images of {}x{}; expected {}x{}", image_path.string(), big_endian(images, 8),
         big_endian(images, 12), shape.height, shape.width);
  }
  const std::uint64_t count = count_items(images, image_path, kImageMagic, kImageHeader, image_bytes);

  if (count == 0) fail(ErrorKind::Input, "{}: holds no images; expected at least 1", image_path.string());
  const std::string label_expected =
      fmt::format("IDX labels, {} bytes: one for each of the {} images", kLabelHeader + count, count);
  const Bytes labels = reader.read(label_path, label_expected, kLabelHeader + kMostExamples);
  const std::uint64_t label_count = count_items(labels, label_path, kLabelMagic, kLabelHeader, 1);
  if (label_count != count) {
    fail(ErrorKind::Input, "{}: {} labels for {} images; expected {} bytes", label_path.string(), label_count, count,
         kLabelHeader + count);
  }
  ImageSplit split;
  split.pixels.assign(images.begin() + kImageHeader, images.end());
  split.labels.assign(labels.begin() + kLabelHeader, labels.end());
  for (std::size_t i = 0; i < split.labels.size(); ++i) {
    if (split.labels[i] >= shape.classes) {
      fail(ErrorKind::Input, "{}: label {} of example {}; expected 0 to {}", label_path.string(), split.labels[i], i,
           shape.classes - 1);
    }
  }
  return split;
}

}  // namespace

std::vector<std::filesystem::path> idx_files(const std::filesystem::path& root) {
  std::vector<std::filesystem::path> files;
  std::error_code problem;
  for (const char* name :
       {"train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"}) {
    const std::filesystem::path packed = root / (std::string(name) + ".gz");
    files.push_back(std::filesystem::exists(packed, problem) ? packed : root / name);
  }
  return files;
}

ImageData read_idx(const std::vector<std::filesystem::path>& files, const DataShape& shape, DataReader& reader) {
  ImageData data;
  data.shape = shape;
  data.train = read_split(files.at(0), files.at(1), shape, reader);
  data.test = read_split(files.at(2), files.at(3), shape, reader);
  data.digest = reader.digest();
  return data;
}

}  // namespace winnow
