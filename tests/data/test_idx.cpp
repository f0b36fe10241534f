#include "experiments/data/idx.h"

#include "tests/data/fixtures.h"

namespace winnow {
namespace {

void put32(Bytes& bytes, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) {
    bytes.push_back(static_cast<std::uint8_t>(value >> shift));
  }
}

constexpr DataShape kShape{2, 3, 1, 4};

// Pixel p of image i is 10 i + p.
Bytes images(std::uint32_t count) {
  Bytes bytes;
  for (const std::uint32_t word : {0x803u, count, 2u, 3u}) put32(bytes, word);
  for (std::uint32_t i = 0; i < count; ++i) {
    for (std::uint32_t p = 0; p < 6; ++p) bytes.push_back(static_cast<std::uint8_t>(10 * i + p));
  }
  return bytes;
}

Bytes labels(const Bytes& values) {
  Bytes bytes;
  put32(bytes, 0x801);
  put32(bytes, static_cast<std::uint32_t>(values.size()));
  bytes.insert(bytes.end(), values.begin(), values.end());
  return bytes;
}

class Idx : public DataFiles {
 protected:
  void SetUp() override {
    DataFiles::SetUp();
    write("train-images-idx3-ubyte", images(3));
    write("train-labels-idx1-ubyte", labels({0, 3, 1}));
    write("t10k-images-idx3-ubyte", images(1));
    write("t10k-labels-idx1-ubyte", labels({2}));
  }
  ImageData read() const { return read_idx(idx_files(folder_), kShape); }
  void expect_damage(const std::vector<std::string>& parts) const {
    expect_error(ErrorKind::Input, parts, [this] { read(); });
  }
};

TEST_F(Idx, ReadsPlainFiles) {
  const ImageData data = read();
  EXPECT_EQ(data.shape, kShape);
  EXPECT_EQ(data.train.labels, (std::vector<std::int32_t>{0, 3, 1}));
  EXPECT_EQ(data.test.labels, (std::vector<std::int32_t>{2}));
  ASSERT_EQ(data.train.pixels.size(), 18u);
  EXPECT_EQ(data.train.pixels[0], 0);
  EXPECT_EQ(data.train.pixels[2 * 6 + 5], 25);
  EXPECT_EQ(data.test.pixels.size(), 6u);
}

TEST_F(Idx, GzipGivesTheSameExamplesAndIsPreferred) {
  const ImageData plain = read();
  write("train-images-idx3-ubyte", {1, 2, 3});
  write("train-images-idx3-ubyte.gz", gzipped(images(3)));
  const ImageData packed = read();
  EXPECT_EQ(packed.train.pixels, plain.train.pixels);
  EXPECT_EQ(packed.train.labels, plain.train.labels);
  EXPECT_NE(packed.digest, plain.digest) << "the digest is of the bytes on disk";
}

TEST_F(Idx, DigestIsSha256OfTheFilesInOrder) {
  // sha256sum of the four files above, one after the other, computed with hashlib.
  EXPECT_EQ(read().digest, "077dd133824ed5bbe5ff4673e9568c8ef762b77d25c7e6cd2cf200a97145ec19");
}

TEST_F(Idx, MissingFileIsNamed) {
  std::filesystem::remove(folder_ / "t10k-labels-idx1-ubyte");
  expect_damage({(folder_ / "t10k-labels-idx1-ubyte").string(), "No such file", "9 bytes"});
}

TEST_F(Idx, FolderInPlaceOfAFileIsNamed) {
  std::filesystem::remove(folder_ / "t10k-labels-idx1-ubyte");
  std::filesystem::create_directory(folder_ / "t10k-labels-idx1-ubyte");
  expect_damage({"t10k-labels-idx1-ubyte", "is a folder", "9 bytes"});
}

TEST_F(Idx, ShortFileSaysBothSizes) {
  Bytes bytes = images(3);
  bytes.pop_back();
  write("train-images-idx3-ubyte", bytes);
  expect_damage({"train-images-idx3-ubyte", "33 bytes", "expected 34"});
}

TEST_F(Idx, FileShorterThanItsHeaderIsCaught) {
  write("train-images-idx3-ubyte", {0, 0, 8, 3});
  expect_damage({"train-images-idx3-ubyte", "4 bytes", "16"});
  write("train-images-idx3-ubyte", {});
  expect_damage({"train-images-idx3-ubyte", "0 bytes", "16"});
}

TEST_F(Idx, ExtraBytesAreCaught) {
  Bytes bytes = labels({0, 3, 1});
  bytes.push_back(0);
  write("train-labels-idx1-ubyte", bytes);
  expect_damage({"train-labels-idx1-ubyte", "12 bytes", "expected 11"});
}

TEST_F(Idx, WrongMagicIsCaught) {
  write("train-images-idx3-ubyte", labels({0, 1, 2, 3, 0, 1, 2, 3}));
  expect_damage({"train-images-idx3-ubyte", "0x00000801", "0x00000803"});
}

TEST_F(Idx, WrongImageSizeIsCaught) {
  Bytes bytes = images(3);
  bytes[11] = 3;  // 3x3 instead of 2x3
  write("train-images-idx3-ubyte", bytes);
  expect_damage({"train-images-idx3-ubyte", "3x3", "2x3"});
}

TEST_F(Idx, LabelOutsideTheClassesIsCaught) {
  write("train-labels-idx1-ubyte", labels({0, 4, 1}));
  expect_damage({"train-labels-idx1-ubyte", "label 4", "example 1", "0 to 3"});
}

TEST_F(Idx, LabelsAndImagesMustAgreeInNumber) {
  write("train-labels-idx1-ubyte", labels({0, 1}));
  expect_damage({"train-labels-idx1-ubyte", "2 labels", "3 images", "11 bytes"});
}

TEST_F(Idx, DamagedHeaderCountCannotAskForMemory) {
  Bytes bytes = images(3);
  bytes[4] = 0xff;  // four thousand million images
  write("train-images-idx3-ubyte", bytes);
  expect_damage({"train-images-idx3-ubyte", "34 bytes"});
}

TEST_F(Idx, TruncatedGzipIsCaughtAtEveryLength) {
  const Bytes whole = gzipped(images(3));
  for (std::size_t length = 2; length < whole.size(); ++length) {
    write("train-images-idx3-ubyte.gz", Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length)));
    expect_damage({"train-images-idx3-ubyte.gz", "truncated"});
  }
}

TEST_F(Idx, ChangedGzipByteIsCaught) {
  Bytes bytes = gzipped(images(3));
  bytes[bytes.size() - 6] ^= 1;  // in the checksum
  write("train-images-idx3-ubyte.gz", bytes);
  expect_damage({"train-images-idx3-ubyte.gz", "damaged gzip"});
}

TEST_F(Idx, BytesAfterTheGzipDataAreCaught) {
  Bytes bytes = gzipped(images(3));
  bytes.push_back(7);
  write("train-images-idx3-ubyte.gz", bytes);
  expect_damage({"train-images-idx3-ubyte.gz", "1 extra bytes"});
}

}  // namespace
}  // namespace winnow
