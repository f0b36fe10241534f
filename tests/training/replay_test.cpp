// `winnow verify --replay`: a trial that is trained again gives the same result; where it does not, it is said in what, and
// where it cannot, why.
#include <hdf5.h>

#include <functional>

#include "experiments/data/digest.h"
#include "experiments/results/layout.h"
#include "experiments/results/status.h"
#include "experiments/results/trial_file.h"
#include "tests/said.h"
#include "tests/temporary_folder.h"
#include "tests/training/run_fixture.h"

namespace winnow::test {
namespace {

class ReplayOfATrial : public RunFixture {
 protected:
  ReplayOfATrial()
      : RunFixture(
            "  - cases:\n"
            "      - {name: born_again, method.teacher: dense}\n"
            "      - dense\n") {}
  void SetUp() override {
    RunFixture::SetUp();
    const RunSaid said = winnow({"run", "--workers", "1", "--threads", "1"});
    ASSERT_EQ(said.code, 0) << said.err;
  }
  std::string name_of_method(const std::string& method) const {
    for (const TrialSpec& spec : trials()) {
      if (spec.settings.text("method.name") == method) return spec.name();
    }
    ADD_FAILURE() << method;
    return "";
  }
  Said replay(const std::string& trial, std::vector<std::string> more = {}) const {
    std::vector<std::string> args = {"verify", out().string(), "--replay",
                                     trial,    "--scratch",    scratch_.path().string()};
    args.insert(args.end(), more.begin(), more.end());
    const Said said = ::winnow::winnow(args);
    EXPECT_TRUE(std::filesystem::is_empty(scratch_.path())) << "its folder is gone";
    return said;
  }
  // As another program does it, but with the digest of what there is then.
  void edit(const std::string& name, const std::function<void(hid_t)>& how) {
    const auto path = Layout(out()).trial(name);
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
    ASSERT_GE(file, 0);
    how(file);
    H5Fclose(file);
    const std::string digest = trial_digest(Hdf5File::from_bytes(files_.read(path), "edited"));
    file = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
    const hid_t attribute = H5Aopen(file, "content_digest", H5P_DEFAULT), type = H5Aget_type(attribute);
    const char* text = digest.c_str();
    EXPECT_GE(H5Awrite(attribute, type, &text), 0);
    H5Tclose(type);
    H5Aclose(attribute);
    H5Fclose(file);
  }
  static void add(hid_t file, const char* object, std::size_t at, double by) {
    const hid_t dataset = H5Dopen2(file, object, H5P_DEFAULT), space = H5Dget_space(dataset);
    std::vector<double> values(static_cast<std::size_t>(H5Sget_simple_extent_npoints(space)));
    EXPECT_GE(H5Dread(dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), 0) << object;
    values.at(at) += by;
    EXPECT_GE(H5Dwrite(dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), 0);
    H5Sclose(space);
    H5Dclose(dataset);
  }
  // To a weight that is stored dense, with the check sum of what there is then.
  static void add_to_weight(hid_t file, const char* object, std::size_t at, double by) {
    add(file, object, at, by);
    const hid_t dataset = H5Dopen2(file, object, H5P_DEFAULT), space = H5Dget_space(dataset);
    std::vector<float> values(static_cast<std::size_t>(H5Sget_simple_extent_npoints(space)));
    EXPECT_GE(H5Dread(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), 0) << object;
    const auto sum = static_cast<std::int64_t>(crc32_of(std::as_bytes(std::span(values))));
    const hid_t attribute = H5Aopen(dataset, "crc32", H5P_DEFAULT);
    EXPECT_GE(H5Awrite(attribute, H5T_NATIVE_INT64, &sum), 0) << object;
    H5Aclose(attribute);
    H5Sclose(space);
    H5Dclose(dataset);
  }
  // A text of the provenance, of the length that it had.
  static void say(hid_t file, const std::string& fact, std::string text) {
    const hid_t dataset = H5Dopen2(file, ("provenance/" + fact).c_str(), H5P_DEFAULT), type = H5Dget_type(dataset);
    text.resize(H5Tget_size(type));
    EXPECT_GE(H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, text.data()), 0) << fact;
    H5Tclose(type);
    H5Dclose(dataset);
  }

  TemporaryFolder scratch_;
};

TEST_F(ReplayOfATrial, TheSameComesOutAlsoOfATrialThatNeedsAnother) {
  for (const char* method : {"dense", "born_again"}) {
    const std::string name = name_of_method(method);
    const auto before = files_.read(Layout(out()).trial(name));
    const Said said = replay(name.substr(0, 8));
    EXPECT_EQ(said.code, 0) << said.out << said.err;
    EXPECT_NE(said.out.find(name + ": the same, bit for bit"), std::string::npos) << said.out;
    EXPECT_NE(said.out.find("by 1 rank(s) of 1 thread(s), f32, on "), std::string::npos) << said.out;
    EXPECT_EQ(files_.read(Layout(out()).trial(name)), before);
  }
  EXPECT_EQ(replay("zz").code, 66);
  EXPECT_EQ(replay("").code, 64) << "two are called so";
}

TEST_F(ReplayOfATrial, WhatDiffersIsNamed) {
  const std::string name = name_of_method("dense");
  edit(name, [](hid_t file) { add(file, "summary/final.test_acc", 0, 0.25); });
  EXPECT_EQ(replay(name, {"--tolerance", "0.3"}).code, 0);
  EXPECT_EQ(replay(name, {"--tolerance", "0.01"}).code, 66);
  edit(name, [](hid_t file) { add(file, "weights/fc1.bias", 3, 0.001); });
  const Said said = replay(name);
  EXPECT_EQ(said.code, 66) << said.out;
  EXPECT_NE(said.out.find("/summary/final.test_acc differs first at 0: "), std::string::npos) << said.out;
  EXPECT_NE(said.out.find("in 1 of 1 entries, by 0.25 at most"), std::string::npos) << said.out;
  EXPECT_NE(said.out.find("/weights/fc1.bias differs first at 3: "), std::string::npos) << said.out;
  EXPECT_NE(said.out.find("another result came out"), std::string::npos) << said.out;
}

// Weights are compared as they are when decoded: by an edit that keeps a tensor whole, its check sum with it.
TEST_F(ReplayOfATrial, WithAToleranceWeightsAreComparedByIt) {
  const std::string name = name_of_method("dense");
  edit(name, [](hid_t file) { add_to_weight(file, "weights/fc1.bias", 3, 0.001); });
  EXPECT_EQ(replay(name).code, 66);
  EXPECT_EQ(replay(name, {"--tolerance", "0.01"}).code, 0);
  const Said said = replay(name, {"--tolerance", "1.0e-5"});
  EXPECT_EQ(said.code, 66);
  EXPECT_NE(said.out.find("/weights/fc1.bias differs first at 3: "), std::string::npos) << said.out;
}

// How small a compressed tensor is hangs on the last bits of its values, and so does the form that is chosen.
TEST_F(ReplayOfATrial, WithAToleranceSizesOfFormsAreNotCompared) {
  const std::string name = name_of_method("dense");
  edit(name, [](hid_t file) { add(file, "layers/stored_bytes", 0, 8); });
  const Said exact = replay(name);
  EXPECT_EQ(exact.code, 66);
  EXPECT_NE(exact.out.find("/layers/stored_bytes differs first at 0: "), std::string::npos) << exact.out;
  EXPECT_EQ(replay(name, {"--tolerance", "1.0e-6"}).code, 0);
}

TEST_F(ReplayOfATrial, WhereItCannotBeTheSameItIsSaidWhyAndTrainedOnlyWithATolerance) {
  const std::string name = name_of_method("dense");
  edit(name, [](hid_t file) {
    say(file, "winnow.version", "0.0.9");
    say(file, "device", "gpu");
  });
  const Said refused = replay(name);
  EXPECT_EQ(refused.code, 78) << refused.out;
  EXPECT_NE(refused.err.find("it was trained on a GPU"), std::string::npos) << refused.err;
  EXPECT_NE(refused.err.find("winnow.version was 0.0.9"), std::string::npos) << refused.err;
  EXPECT_EQ(replay(name, {"--tolerance", "0"}).code, 0) << "here it was the CPU all the same";
  edit(name, [](hid_t file) { say(file, "ranks", "4"); });
  const Said ranks = replay(name);
  EXPECT_EQ(ranks.code, 78);
  EXPECT_NE(ranks.err.find("mpirun -n 4"), std::string::npos) << ranks.err;
}

TEST_F(ReplayOfATrial, AnotherTeacherIsRefused) {
  edit(name_of_method("dense"), [](hid_t file) { add(file, "summary/final.test_acc", 0, 0.25); });
  const Said said = replay(name_of_method("born_again"));
  EXPECT_EQ(said.code, 66);
  EXPECT_NE(said.err.find("is another result than the teacher"), std::string::npos) << said.err;
}

}  // namespace
}  // namespace winnow::test
