#include "experiments/data/cifar.h"

#include "tests/data/fixtures.h"

namespace winnow {
namespace {

constexpr std::size_t kImage = 3072;

// A record whose red plane is `first`, green `first` + 1, blue `first` + 2, except for one blue pixel.
Bytes record(Bytes labels, std::uint8_t first) {
  Bytes bytes = std::move(labels);
  const std::size_t start = bytes.size();
  for (std::size_t i = 0; i < kImage; ++i) {
    bytes.push_back(static_cast<std::uint8_t>(first + i / 1024));
  }
  bytes[start + 2048 + 33] = 200;  // row 1, column 1
  return bytes;
}

const CifarLayout kTen{"ten", {{"a.bin", 2}, {"b.bin", 1}}, {"test.bin", 1}, 0, 10};
const CifarLayout kHundred{"hundred", {{"train.bin", 1}}, {"test.bin", 1}, 20, 100};

class Cifar : public DataFiles {
 protected:
  void SetUp() override {
    DataFiles::SetUp();
    write("a.bin", record({7}, 10) + record({0}, 20));
    write("b.bin", record({9}, 30));
    write("test.bin", record({1}, 40));
  }
  ImageData read(const CifarLayout& layout = kTen) const {
    DataReader reader;
    return read_cifar(cifar_files(folder_, layout), layout, reader);
  }
  void expect_damage(const std::vector<std::string>& parts) const {
    expect_error(ErrorKind::Input, parts, [this] { read(); });
  }
};

TEST_F(Cifar, PlanesBecomeInterleavedChannelsInFileOrder) {
  const ImageData data = read();
  EXPECT_EQ(data.shape, (DataShape{32, 32, 3, 10}));
  EXPECT_EQ(data.train.labels, (std::vector<std::int32_t>{7, 0, 9}));
  EXPECT_EQ(data.test.labels, (std::vector<std::int32_t>{1}));
  ASSERT_EQ(data.train.pixels.size(), 3 * kImage);
  const std::uint8_t* third = data.train.pixels.data() + 2 * kImage;
  EXPECT_EQ(third[0], 30);
  EXPECT_EQ(third[1], 31);
  EXPECT_EQ(third[2], 32);
  EXPECT_EQ(third[(1 * 32 + 1) * 3 + 2], 200);
  EXPECT_EQ(third[(1 * 32 + 1) * 3 + 1], 31);
}

TEST_F(Cifar, RootMayBeTheFolderOrTheOneAboveIt) {
  std::filesystem::create_directory(folder_ / "ten");
  for (const char* name : {"a.bin", "b.bin", "test.bin"}) {
    std::filesystem::rename(folder_ / name, folder_ / "ten" / name);
  }
  EXPECT_EQ(cifar_files(folder_, kTen), cifar_files(folder_ / "ten", kTen));
  EXPECT_EQ(read().train.examples(), 3);
}

TEST_F(Cifar, HundredUsesTheFineLabel) {
  write("train.bin", record({3, 99}, 1));
  write("test.bin", record({19, 5}, 1));
  const ImageData data = read(kHundred);
  EXPECT_EQ(data.train.labels, (std::vector<std::int32_t>{99}));
  EXPECT_EQ(data.test.labels, (std::vector<std::int32_t>{5}));
  EXPECT_EQ(data.train.pixels[0], 1);
}

TEST_F(Cifar, ShortFileSaysBothSizes) {
  write("a.bin", record({7}, 10));
  expect_damage({(folder_ / "a.bin").string(), "3073 bytes", "expected 6146", "2 records"});
}

TEST_F(Cifar, ExtraBytesAreCaught) {
  write("b.bin", record({9}, 30) + Bytes{0});
  expect_damage({"b.bin", "3074 bytes", "expected 3073"});
  write("b.bin", Bytes(20000, 1));
  expect_damage({"b.bin", "20000 bytes", "expected 3073"});
}

TEST_F(Cifar, MissingFileIsNamedWithItsSize) {
  std::filesystem::remove(folder_ / "b.bin");
  expect_damage({(folder_ / "b.bin").string(), "No such file", "3073 bytes"});
}

TEST_F(Cifar, LabelOutsideTheClassesIsCaught) {
  write("a.bin", record({7}, 10) + record({10}, 20));
  expect_damage({"a.bin", "label 10", "record 1", "0 to 9"});
}

TEST_F(Cifar, CoarseLabelOutsideItsClassesIsCaught) {
  write("train.bin", record({20, 99}, 1));
  write("test.bin", record({19, 5}, 1));
  expect_error(ErrorKind::Input, {"train.bin", "label 20", "record 0", "0 to 19"}, [this] { read(kHundred); });
}

TEST_F(Cifar, WrongRootIsOneLine) {
  expect_error(ErrorKind::Input, {(folder_ / "data_batch_1.bin").string(), "30730000 bytes"}, [this] {
    open_dataset("cifar10", {{"root", folder_.string()}});
  });
  expect_error(ErrorKind::Input, {(folder_ / "train.bin").string(), "153700000 bytes"}, [this] {
    open_dataset("cifar100", {{"root", folder_.string()}});
  });
}

}  // namespace
}  // namespace winnow
