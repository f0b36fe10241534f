#include <cmath>
#include <cstdlib>
#include <set>

#include "experiments/data/image_data.h"
#include "experiments/data/missing_data.h"
#include "experiments/data/raw_file.h"
#include "tests/data/fixtures.h"

namespace winnow {
namespace {

TEST(Registry, EveryDataSetIsDescribedAndHasItsSettingsOnce) {
  std::set<std::string> names;
  for (const DatasetDef& def : datasets()) {
    EXPECT_TRUE(names.insert(def.name).second) << def.name;
    EXPECT_FALSE(def.meaning.empty()) << def.name;
    EXPECT_FALSE(def.source.empty()) << def.name;
    std::set<std::string> keys;
    for (const Setting& setting : def.schema) {
      EXPECT_TRUE(keys.insert(setting.key).second) << def.name << " " << setting.key;
      EXPECT_FALSE(setting.meaning.empty()) << def.name << " " << setting.key;
      EXPECT_FALSE(setting.source.empty()) << def.name << " " << setting.key;
    }
    for (const char* key : {"augment", "shuffle", "validation", "fraction", "normalise"}) {
      EXPECT_TRUE(keys.contains(key)) << def.name << " " << key;
    }
  }
  EXPECT_EQ(names, (std::set<std::string>{"cifar10", "cifar100", "fashion-mnist", "mnist", "synthetic"}));
}

TEST(Registry, UnknownNameSuggestsTheNearest) {
  expect_error(ErrorKind::Settings, {"cifar11", "did you mean 'cifar10", "synthetic"}, [] { find_dataset("cifar11"); });
}

TEST(Registry, ShapesNeedNoFiles) {
  const Settings none;
  EXPECT_EQ(find_dataset("cifar10").shape(none), (DataShape{32, 32, 3, 10}));
  EXPECT_EQ(find_dataset("cifar100").shape(none), (DataShape{32, 32, 3, 100}));
  EXPECT_EQ(find_dataset("mnist").shape(none), (DataShape{28, 28, 1, 10}));
  EXPECT_EQ(find_dataset("fashion-mnist").shape(none), (DataShape{28, 28, 1, 10}));
  const DatasetDef& made = find_dataset("synthetic");
  const Settings settings = resolved("synthetic", {{"height", "8"}, {"channels", "1"}, {"classes", "3"}});
  EXPECT_EQ(made.shape(settings), (DataShape{8, 16, 1, 3}));
}

TEST(Registry, DefaultRootsAndAugmentation) {
  expect_error(ErrorKind::Settings, {"root"}, [] { open_dataset("cifar10", {}); });
  const Settings ten = resolved("cifar10", {{"root", "x"}});
  EXPECT_EQ(ten.text("augment"), "standard");
  EXPECT_EQ(ten.integer("validation"), 5000);
  const Settings clothes = resolved("fashion-mnist", {});
  EXPECT_EQ(clothes.text("augment"), "none");
}

TEST(ExpandPath, ReplacesVariablesAndNamesMissingOnes) {
  setenv("WINNOW_TEST_ROOT", "/data", 1);
  unsetenv("WINNOW_TEST_ABSENT");
  EXPECT_EQ(expand_path("$WINNOW_TEST_ROOT/cifar10"), "/data/cifar10");
  EXPECT_EQ(expand_path("/x/${WINNOW_TEST_ROOT}s"), "/x//datas");
  EXPECT_EQ(expand_path("plain"), "plain");
  // As a file that is missing: exit code 66 wherever it is found.
  expect_error(ErrorKind::Input, {"WINNOW_TEST_ABSENT", "not set"}, [] { expand_path("$WINNOW_TEST_ABSENT/a"); });
  expect_error(ErrorKind::Settings, {"a$/b"}, [] { expand_path("a$/b"); });
  expect_error(ErrorKind::Settings, {"${X"}, [] { expand_path("${X"); });
}

TEST(SharedImageData, IsLoadedOnceForAKey) {
  int loads = 0;
  const auto load = [&] {
    ++loads;
    return ImageData{};
  };
  const auto first = shared_image_data("a test's key", load);
  const auto second = shared_image_data("a test's key", load);
  EXPECT_EQ(first, second);
  EXPECT_EQ(loads, 1);
  shared_image_data("another", load);
  EXPECT_EQ(shared_image_data("a test's key", load), first);
  EXPECT_EQ(loads, 2);
}

Settings settings_of(const std::string& name, const Given& given) {
  Settings data;
  data.set("name", name);
  for (const auto& [key, value] : given) data.set(key, value);
  return data;
}

class CheckedData : public DataFiles {
 protected:
  void SetUp() override {
    DataFiles::SetUp();
    const auto head = [](std::uint8_t dimensions, std::uint8_t count) {
      return Bytes{0, 0, 8, dimensions, 0, 0, 0, count};
    };
    for (const char* split : {"train", "t10k"}) {
      Bytes images = head(3, 2), labels = head(1, 2);
      for (const std::uint8_t byte : {0, 0, 0, 28, 0, 0, 0, 28}) images.push_back(byte);
      images.resize(images.size() + 2 * 784);
      labels.resize(labels.size() + 2);
      write(std::string(split) + "-images-idx3-ubyte", images);
      write(std::string(split) + "-labels-idx1-ubyte", labels);
    }
  }
  // Of trials whose other settings differ: the files are the same.
  DataCheck check() const {
    const Settings one = settings_of("mnist", {{"root", folder_.string()}, {"validation", "0"}});
    const Settings two = settings_of("mnist", {{"root", folder_.string()}, {"validation", "1"}});
    const Settings made = settings_of("synthetic", {});
    return check_data(std::vector{one, two, made});
  }
};

TEST_F(CheckedData, AnotherContentIsARemark) {
  const DataCheck found = check();
  EXPECT_TRUE(found.problems.empty());
  ASSERT_EQ(found.remarks.size(), 1u);
  EXPECT_EQ(found.remarks[0], "mnist: " + (folder_ / "train-images-idx3-ubyte").string() +
                                  " and 3 more files are not as published; there are 2 + 2 examples");
  EXPECT_EQ(open_dataset("mnist", {{"root", folder_.string()}, {"validation", "0"}})->remark(), found.remarks[0]);
}

TEST_F(CheckedData, DamageAndAbsenceAreProblems) {
  std::filesystem::resize_file(folder_ / "t10k-images-idx3-ubyte", 1000);
  ASSERT_EQ(check().problems.size(), 1u);
  EXPECT_NE(check().problems[0].find("1000 bytes; expected 1584"), std::string::npos) << check().problems[0];
  EXPECT_TRUE(missing_data({}).empty());
  std::filesystem::remove(folder_ / "t10k-labels-idx1-ubyte");
  ASSERT_EQ(check().problems.size(), 1u);
  EXPECT_NE(check().problems[0].find("no such file"), std::string::npos) << check().problems[0];
}

// A name that is too long stands for whatever else the system may answer: a folder that may not be searched, a dead disk.
TEST(MissingData, WhatCannotBeLookedAtIsNotSaidToBeAbsent) {
  const auto problems = missing_data(std::vector{settings_of("mnist", {{"root", std::string(300, 'x')}})});
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_NE(problems[0].find("cannot be looked at: File name too long"), std::string::npos) << problems[0];
}

class WrongRoot : public DataFiles {
 protected:
  void make(const std::string& path) const {
    std::filesystem::create_directories((folder_ / path).parent_path());
    write(path, {1});
  }
  // What is said of files of `data` that are looked for in `root`, after what is there has been named.
  std::string advice(const char* data, const std::string& root) const {
    const Settings trial = settings_of(data, {{"root", (folder_ / root).string()}});
    const auto problems = missing_data(std::vector{trial});
    if (problems.size() != 1) return "no problem";
    EXPECT_EQ(problems[0].find('\n'), std::string::npos) << problems[0];
    const std::size_t end = problems[0].find("; ", problems[0].find("data.root must hold"));
    return end == std::string::npos ? "" : problems[0].substr(end + 2);
  }
};

TEST_F(WrongRoot, AnArchiveIsToBeUnpacked) {
  make("cifar-10-binary.tar.gz");
  EXPECT_EQ(advice("cifar10", "cifar-10-binary.tar.gz"),
            "data.root is an archive and must be unpacked (tar -xf), and the folder be named");
  EXPECT_EQ(advice("cifar10", ""), "'cifar-10-binary.tar.gz' is there and must be unpacked (tar -xf)");
  make("file");
  EXPECT_EQ(advice("mnist", "file"), "data.root is a file and must be a folder");
  EXPECT_EQ(advice("mnist", "none"), "");
}

TEST_F(WrongRoot, OtherVersionsOfCifarAreNamed) {
  const std::string python = "is of the version for Python, winnow reads the binary version";
  make("packed/cifar-10-python.tar.gz");
  EXPECT_EQ(advice("cifar10", "packed"), "'cifar-10-python.tar.gz' " + python);
  EXPECT_EQ(advice("cifar10", "packed/cifar-10-python.tar.gz"), "'cifar-10-python.tar.gz' " + python);
  make("unpacked/cifar-10-batches-py/data_batch_1");
  EXPECT_EQ(advice("cifar10", "unpacked"), "'cifar-10-batches-py' " + python);
  EXPECT_EQ(advice("cifar10", "unpacked/cifar-10-batches-py"), "'data_batch_1' " + python);
  make("hundred/cifar-100-python/train");
  EXPECT_EQ(advice("cifar100", "hundred"), "'cifar-100-python' " + python);
  make("matlab/cifar-10-batches-mat/data_batch_1.mat");
  EXPECT_EQ(advice("cifar10", "matlab"),
            "'cifar-10-batches-mat' is of the version for MATLAB, winnow reads the binary version");
}

TEST_F(WrongRoot, AParentFolderIsToldWhereTheFilesAre) {
  make("data/images/cifar/cifar-10-batches-bin/data_batch_1.bin");
  const std::string there = (folder_ / "data/images/cifar/cifar-10-batches-bin").string();
  EXPECT_EQ(advice("cifar10", "data/images"), "it is in '" + there + "': data.root must name that folder");
  EXPECT_EQ(advice("cifar10", "data"), "it is in '" + there + "': data.root must name that folder");
  make("idx/fashion/train-images-idx3-ubyte.gz");
  EXPECT_EQ(advice("fashion-mnist", "idx"),
            "it is in '" + (folder_ / "idx/fashion").string() + "': data.root must name that folder");
}

// Sum and sum of squares over all training images, without validation or augmentation.
std::pair<double, double> moments(Dataset& data) {
  const auto source = data.eval(Split::Train, 1000, {});
  double sum = 0, squares = 0, count = 0;
  for (std::int64_t i = 0; i < source->batches(); ++i) {
    for (const float pixel : source->batch(i).images.span<float>()) {
      sum += pixel;
      squares += static_cast<double>(pixel) * pixel;
      ++count;
    }
  }
  return {sum / count, std::sqrt(squares / count - sum / count * sum / count)};
}

TEST(FashionMnist, RealFilesHaveTheKnownContent) {
  const auto data = open_dataset("fashion-mnist", {{"validation", "0"}});
  EXPECT_EQ(data->shape(), (DataShape{28, 28, 1, 10}));
  EXPECT_EQ(data->examples(Split::Train), 60000);
  EXPECT_EQ(data->examples(Split::Test), 10000);
  EXPECT_EQ(data->digest().size(), 64u);
  EXPECT_EQ(data->remark(), "") << "the files of Debian's package are the published ones";
  const auto [mean, deviation] = moments(*data);
  EXPECT_NEAR(mean, 0.0, 5e-4);
  EXPECT_NEAR(deviation, 1.0, 5e-4);
  const auto source = data->eval(Split::Test, 10000, {});
  const Batch& test = source->batch(0);
  std::vector<int> counts(10);
  for (const std::int32_t label : test.labels.span<std::int32_t>()) {
    ++counts[static_cast<std::size_t>(label)];
  }
  EXPECT_EQ(counts, std::vector<int>(10, 1000));
  EXPECT_EQ(test.labels.as<std::int32_t>()[0], 9) << "the first test image is an ankle boot";
}

// Nearest class mean of the raw pixels: the weakest learner there is.
double nearest_mean_accuracy(Dataset& data) {
  const DataShape shape = data.shape();
  const auto size = static_cast<std::size_t>(shape.height * shape.width * shape.channels);
  std::vector<std::vector<double>> means(static_cast<std::size_t>(shape.classes), std::vector<double>(size));
  std::vector<double> counts(means.size());
  const auto train = data.eval(Split::Train, data.examples(Split::Train), {});
  const Batch& examples = train->batch(0);
  for (std::size_t row = 0; row < static_cast<std::size_t>(examples.labels.numel()); ++row) {
    const auto label = static_cast<std::size_t>(examples.labels.as<std::int32_t>()[row]);
    ++counts[label];
    for (std::size_t p = 0; p < size; ++p) {
      means[label][p] += examples.images.as<float>()[row * size + p];
    }
  }
  const auto pass = data.eval(Split::Test, data.examples(Split::Test), {});
  const Batch& test = pass->batch(0);
  double right = 0;
  for (std::size_t row = 0; row < static_cast<std::size_t>(test.labels.numel()); ++row) {
    std::size_t best = 0;
    double least = HUGE_VAL;
    for (std::size_t k = 0; k < means.size(); ++k) {
      double distance = 0;
      for (std::size_t p = 0; p < size; ++p) {
        const double d = means[k][p] / counts[k] - test.images.as<float>()[row * size + p];
        distance += d * d;
      }
      if (distance < least) least = distance, best = k;
    }
    right += static_cast<std::int32_t>(best) == test.labels.as<std::int32_t>()[row];
  }
  return right / static_cast<double>(test.labels.numel());
}

TEST(Synthetic, IsLearnableAndNoiseMakesItHarder) {
  const auto easy = open_dataset("synthetic", {});
  EXPECT_GT(nearest_mean_accuracy(*easy), 0.99);
  const auto hard = open_dataset("synthetic", {{"noise", "5"}});
  EXPECT_LT(nearest_mean_accuracy(*hard), 0.9);
}

TEST(Synthetic, IsAFunctionOfItsSettings) {
  const auto digest = [](const Given& given) { return open_dataset("synthetic", given)->digest(); };
  const std::string base = digest({{"examples", "600"}});
  EXPECT_EQ(base, "4a7851d74f9f83f2c1b9d54cb1feca2b9898eb4a43ca3726740b66a61456e0c4")
      << "other images under the same name: raise the data set's version";
  EXPECT_EQ(digest({{"examples", "600"}, {"validation", "10"}}), base);
  EXPECT_NE(digest({{"examples", "600"}, {"seed", "2"}}), base);
  EXPECT_NE(digest({{"examples", "600"}, {"noise", "0.3"}}), base);
  const auto data = open_dataset("synthetic", {{"examples", "600"}, {"test_examples", "77"}});
  EXPECT_EQ(data->examples(Split::Train), 88);
  EXPECT_EQ(data->examples(Split::Test), 77);
}

}  // namespace
}  // namespace winnow
