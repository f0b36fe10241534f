#include "experiments/data/idx.h"

#include <sys/stat.h>

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
  ImageData read() const {
    DataReader reader;
    return read_idx(idx_files(folder_), kShape, reader);
  }
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
  EXPECT_EQ(packed.digest, plain.digest) << "packed or not, it is the same data";
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

// Two members that hold the images of a file cut at `at`.
Bytes two_members(const Bytes& bytes, std::ptrdiff_t at) {
  return gzipped(Bytes(bytes.begin(), bytes.begin() + at)) + gzipped(Bytes(bytes.begin() + at, bytes.end()));
}

TEST_F(Idx, GzipOfSeveralMembersIsTheFileItUnpacksTo) {
  const ImageData plain = read();
  for (const std::ptrdiff_t at : {0, 1, 16, 33, 34}) {
    write("train-images-idx3-ubyte.gz", two_members(images(3), at));
    EXPECT_EQ(read().train.pixels, plain.train.pixels) << "cut at " << at;
  }
  Bytes each;
  for (const std::uint8_t byte : images(3)) each = each + gzipped({byte});
  write("train-images-idx3-ubyte.gz", each);
  EXPECT_EQ(read().train.pixels, plain.train.pixels) << "a member for each byte";
}

TEST_F(Idx, DamageInALaterGzipMemberIsCaught) {
  const std::size_t first = gzipped(Bytes(20, 0)).size();
  const Bytes whole = gzipped(Bytes(20, 0)) + gzipped(images(3));
  for (std::size_t length = first + 2; length < whole.size(); ++length) {
    write("train-images-idx3-ubyte.gz", Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length)));
    expect_damage({"train-images-idx3-ubyte.gz", "truncated"});
  }
  write("train-images-idx3-ubyte.gz", two_members(images(3), 20) + Bytes{0x1f});
  expect_damage({"train-images-idx3-ubyte.gz", "1 extra bytes"});
}

TEST_F(Idx, ContentThatIsTooLongIsRefusedBeforeItIsUnpacked) {
  // A megabyte of gzip data that unpacks to more than a gigabyte.
  Bytes zeros(std::size_t{1} << 24, 0), bomb = gzipped(images(3));
  const Bytes member = gzipped(zeros);
  for (int i = 0; i < 70; ++i) bomb = bomb + member;
  write("t10k-labels-idx1-ubyte.gz", bomb);
  expect_damage({"t10k-labels-idx1-ubyte.gz", "more than 1000008 bytes"});
  write("t10k-labels-idx1-ubyte.gz", {});
  std::filesystem::resize_file(folder_ / "t10k-labels-idx1-ubyte.gz", std::uintmax_t{1} << 33);  // takes no disk
  expect_damage({"t10k-labels-idx1-ubyte.gz", "has 8589934592 bytes"});
}

TEST_F(Idx, EmptySplitIsDamage) {
  write("t10k-images-idx3-ubyte", images(0));
  write("t10k-labels-idx1-ubyte", labels({}));
  expect_damage({"t10k-images-idx3-ubyte", "no images", "at least 1"});
}

// A reader of a pipe or a device would wait, or never come to an end.
TEST_F(Idx, WhatIsNoFileIsNamedAtOnce) {
  const std::filesystem::path at = folder_ / "t10k-labels-idx1-ubyte";
  std::filesystem::remove(at);
  ASSERT_EQ(mkfifo(at.c_str(), 0600), 0);
  expect_damage({at.string(), "is a named pipe", "9 bytes"});
  std::filesystem::rename(at, folder_ / "pipe");
  std::filesystem::create_symlink(folder_ / "pipe", at);
  expect_damage({at.string(), "is a named pipe"});
  std::filesystem::remove(at);
  std::filesystem::create_symlink("/dev/zero", at);
  expect_damage({at.string(), "is a device"});
}

TEST_F(Idx, FilesOtherThanThePublishedOnesAreNamed) {
  // sha256sum, sha1sum of the four files.
  const std::vector<std::string> published = {
      "4195c10cecd448b40cad80c04813322eebc5e882b1354dd7657f1905b766d13e", "7e0e90c06cdf2603c81b94b14dbd7bf4e87e97de",
      "bf858eb6e2e6aa1217684744e08af6dfd7284e1dc21b86cb4091e2402916e312", "8c242686fb778d33b53bab21462cfef1fed8b5b8"};
  const std::vector<std::filesystem::path> files = idx_files(folder_);
  DataReader same(published);
  ImageData data = read_idx(files, kShape, same);
  EXPECT_TRUE(same.changed().empty());
  EXPECT_EQ(remark_on("digits", data, same.changed()), "");
  // Packed files are compared by what they hold.
  write("train-images-idx3-ubyte.gz", gzipped(images(3)));
  DataReader packed(published);
  read_idx(idx_files(folder_), kShape, packed);
  EXPECT_TRUE(packed.changed().empty());
  std::filesystem::remove(folder_ / "train-images-idx3-ubyte.gz");

  write("train-labels-idx1-ubyte", labels({0, 3, 2}));
  DataReader other(published);
  data = read_idx(files, kShape, other);
  EXPECT_EQ(other.changed(), (std::vector<std::filesystem::path>{files[1]}));
  EXPECT_EQ(remark_on("digits", data, other.changed()),
            "digits: " + files[1].string() + " is not as published; there are 3 + 1 examples");
}

TEST_F(Idx, ZerosAfterTheGzipDataFillABlock) {
  const ImageData plain = read();
  Bytes bytes = gzipped(images(3));
  bytes.resize(bytes.size() + 512);
  write("train-images-idx3-ubyte.gz", bytes);
  EXPECT_EQ(read().train.pixels, plain.train.pixels);
}

TEST_F(Idx, BytesAfterTheGzipDataAreCaught) {
  Bytes bytes = gzipped(images(3));
  bytes.push_back(7);
  write("train-images-idx3-ubyte.gz", bytes);
  expect_damage({"train-images-idx3-ubyte.gz", "1 extra bytes"});
}

}  // namespace
}  // namespace winnow
