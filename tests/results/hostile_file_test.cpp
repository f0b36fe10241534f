// Result and survey files made to harm their reader. Each is resealed, so that its check sum is right: the seal is no
// protection against intent. Every one is refused in one line that names it, and the results beside it are read.
#include <gtest/gtest.h>
#include <hdf5.h>
#include <sys/stat.h>

#include <fstream>
#include <functional>

#include "core/error.h"
#include "experiments/results/container.h"
#include "experiments/results/layout.h"
#include "experiments/results/survey.h"
#include "experiments/results/trial_file.h"
#include "tests/results/sample_sweep.h"
#include "tests/results/samples.h"

namespace winnow::test {
namespace {

namespace fs = std::filesystem;

constexpr const char* kVictim = "summary/final.test_acc";

class HostileFile : public ::testing::Test {
 protected:
  void SetUp() override { write_sample_sweep(files_, out()); }
  fs::path out() const { return folder_.path() / "out"; }
  fs::path result() const { return Layout(out()).trial(sample_trial(1, "dense", "1").spec.name()); }

  // Changes the HDF5 content of a sealed file and seals it again.
  void change(const fs::path& path, const std::function<void(hid_t)>& how) {
    const auto whole = files_.read(path);
    const std::string note = unsealed(whole).note;
    const fs::path image = folder_.path() / "image.h5";
    files_.replace(image, unsealed(whole).image);
    const hid_t file = H5Fopen(image.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
    ASSERT_GE(file, 0);
    how(file);
    H5Fclose(file);
    files_.replace(path, std::span<const std::byte>(sealed(files_.read(image), note)));
  }
  // Reading the file, and all that reads the directory.
  void expect_refused(const std::string& words) {
    try {
      read_trial(result());
      ADD_FAILURE() << "it was read";
    } catch (const Error& error) {
      const std::string text = error.what();
      EXPECT_EQ(error.kind(), ErrorKind::Input);
      EXPECT_TRUE(text.starts_with(result().string() + ": ")) << text;
      EXPECT_NE(text.find(words), std::string::npos) << text;
      EXPECT_EQ(text.find('\n'), std::string::npos) << text;
    }
    const Survey survey = gather_survey(files_, out());
    EXPECT_EQ(rows_of(survey.trials), 10u);
  }
  void replace_number(hid_t file, hid_t create, const char* path = kVictim, hsize_t count = 1) {
    ASSERT_GE(H5Ldelete(file, path, H5P_DEFAULT), 0);
    const hid_t space = H5Screate_simple(1, &count, nullptr);
    const hid_t dataset = H5Dcreate2(file, path, H5T_IEEE_F64LE, space, H5P_DEFAULT, create, H5P_DEFAULT);
    ASSERT_GE(dataset, 0);
    H5Dclose(dataset);
    H5Sclose(space);
  }

  TemporaryFolder folder_;
  PosixFiles files_;
};

TEST_F(HostileFile, ALinkToAnotherFileIsNotFollowed) {
  const fs::path pipe = folder_.path() / "pipe";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  for (const std::string& target : {std::string("/etc/passwd"), pipe.string(), std::string("/dev/zero")}) {
    change(result(), [&](hid_t file) {
      H5Ldelete(file, kVictim, H5P_DEFAULT);
      H5Lcreate_external(target.c_str(), "/x", file, kVictim, H5P_DEFAULT, H5P_DEFAULT);
    });
    expect_refused("is a link to another place");
    write_sample_sweep(files_, out());
    files_.remove(result());
    publish(files_, out(), sample_trial(1, "dense", "1", 0, 0.931), kCreated);
  }
}

TEST_F(HostileFile, ASoftLinkIsNotFollowed) {
  change(result(), [](hid_t file) {
    H5Ldelete(file, "layers", H5P_DEFAULT);
    H5Lcreate_soft("/events", file, "layers", H5P_DEFAULT, H5P_DEFAULT);
  });
  expect_refused("/layers is a link to another place");
}

TEST_F(HostileFile, DataInAnotherFileAreNotRead) {
  const fs::path secret = folder_.path() / "secret";
  std::ofstream(secret) << "0123456789abcdef";
  change(result(), [&](hid_t file) {
    const hid_t create = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_external(create, secret.c_str(), 0, 8);
    replace_number(file, create);
    H5Pclose(create);
  });
  expect_refused("keeps its data in another file");
}

TEST_F(HostileFile, DataOfOtherDataSetsAreNotRead) {
  change(result(), [&](hid_t file) {
    const hid_t create = H5Pcreate(H5P_DATASET_CREATE);
    const hsize_t one = 1;
    const hid_t space = H5Screate_simple(1, &one, nullptr);
    H5Pset_virtual(create, space, "/etc/passwd", "/x", space);
    replace_number(file, create);
    H5Sclose(space);
    H5Pclose(create);
  });
  expect_refused("is put together from other data sets");
}

TEST_F(HostileFile, AFilterOfSomebodyElseIsNotLoaded) {
  change(result(), [&](hid_t file) {
    const hid_t create = H5Pcreate(H5P_DATASET_CREATE);
    const hsize_t one = 1;
    H5Pset_chunk(create, 1, &one);
    H5Pset_filter(create, 32001, H5Z_FLAG_OPTIONAL, 0, nullptr);
    replace_number(file, create);
    H5Pclose(create);
  });
  expect_refused("needs the filter 32001");
}

TEST_F(HostileFile, MuchFromLittleIsNotUnpacked) {
  // 2 GiB of zeros in 2 MB, as deflate makes them.
  change(result(), [&](hid_t file) {
    const hid_t create = H5Pcreate(H5P_DATASET_CREATE);
    const hsize_t chunk = 1 << 21, count = chunk * 16;
    H5Pset_chunk(create, 1, &chunk);
    H5Pset_deflate(create, 9);
    replace_number(file, create, "metrics/epoch/test_acc", count);
    H5Pclose(create);
    const hid_t dataset = H5Dopen2(file, "metrics/epoch/test_acc", H5P_DEFAULT);
    const std::vector<double> zeros(count);
    H5Dwrite(dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, zeros.data());
    H5Dclose(dataset);
  });
  expect_refused("larger, once unpacked, than any of its kind");
}

TEST_F(HostileFile, AGroupThatContainsItselfHasAnEnd) {
  change(result(),
         [](hid_t file) { H5Lcreate_hard(file, "/events", file, "/events/events", H5P_DEFAULT, H5P_DEFAULT); });
  const auto whole = files_.read(result());
  files_.replace(result(), unsealed(whole).image);
  try {
    check_result(files_, result());
    ADD_FAILURE() << "its content cannot match";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("is nested too deep"), std::string::npos) << error.what();
  }
}

TEST_F(HostileFile, ASurveyIsReadAsCarefully) {
  const fs::path survey = folder_.path() / "survey.h5";
  collect_survey(files_, out(), survey, SurveyWeights::Link);
  change(survey, [](hid_t file) {
    H5Ldelete(file, "layers", H5P_DEFAULT);
    H5Lcreate_external("/etc/passwd", "/x", file, "layers", H5P_DEFAULT, H5P_DEFAULT);
  });
  try {
    read_survey(files_, survey);
    ADD_FAILURE() << "it was read";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("survey.h5: /layers is a link to another place"), std::string::npos)
        << error.what();
  }
}

TEST_F(HostileFile, PackedWeightsComeFromTheResultAlone) {
  change(result(),
         [](hid_t file) { H5Lcreate_external("/etc/passwd", "/x", file, "weights/extra", H5P_DEFAULT, H5P_DEFAULT); });
  EXPECT_THROW(collect_survey(files_, out(), folder_.path() / "s.h5", SurveyWeights::Pack), Error);
  EXPECT_THROW(load_weights(result()), Error);
}

// Damage that the seal does not show: every reader ends with a result or one line, whatever the library does.
TEST_F(HostileFile, RandomDamageUnderARightSealIsOneLine) {
  const auto whole = files_.read(result());
  const Unsealed content = unsealed(whole);
  std::uint64_t state = 1;
  const auto random = [&state](std::uint64_t below) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (state >> 33) % below;
  };
  std::vector<fs::path> paths;
  for (int i = 0; i < 150; ++i) {
    std::vector<std::byte> image(content.image.begin(), content.image.end());
    for (int n = 0; n < 6; ++n) image[random(image.size())] = static_cast<std::byte>(random(256));
    paths.push_back(folder_.path() / ("fuzzed" + std::to_string(i) + ".h5"));
    files_.replace(paths.back(), std::span<const std::byte>(sealed(std::move(image), content.note)));
  }
  std::size_t answers = 0;
  read_records(
      files_, paths, [&](std::size_t, const TrialRecord&) { ++answers; },
      [&](std::size_t i, const Error& error) {
        ++answers;
        EXPECT_TRUE(std::string(error.what()).starts_with(paths[i].string())) << error.what();
      });
  EXPECT_EQ(answers, paths.size());
}

}  // namespace
}  // namespace winnow::test
