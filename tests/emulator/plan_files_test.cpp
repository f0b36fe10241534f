// Plans of convolutions in a folder: read where they are whole and of this library, GPU and shape, else made anew and replaced.
#include "kernels/cuda/vendor/plan_files.h"

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <thread>

#include "kernels/cuda/vendor/convolution_plans.h"
#include "kernels/cuda/vendor/errors.h"
#include "tests/emulator/device.h"
#include "tests/temporary_folder.h"

namespace winnow::emulator {
namespace {

namespace fs = std::filesystem;
using cuda::vendor::ConvolutionPlan;
using cuda::vendor::made_plan;
using cuda::vendor::PlanFiles;
using PlanBytes = std::vector<std::uint8_t>;

const ConvShape kPlannedShape{.batch = 2,
                              .height = 6,
                              .width = 6,
                              .in = 8,
                              .out = 16,
                              .kernel_h = 3,
                              .kernel_w = 3,
                              .stride = 1,
                              .pad = 1,
                              .groups = 1,
                              .dtype = DType::BF16,
                              .bias = false};

std::string text_in(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
void put_text(const fs::path& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }

class FilesOfPlans : public OnEmulator {
 protected:
  std::vector<fs::path> all() const {
    std::vector<fs::path> found;
    for (const auto& entry : fs::directory_iterator(files_.path_of("x").parent_path())) found.push_back(entry.path());
    return found;
  }
  // Of a process that finds no engine by itself.
  std::shared_ptr<ConvolutionPlan> without_engines(const ConvShape& shape = kPlannedShape,
                                                   Direction direction = Direction::Forward) const {
    fail("cudnnBackendFinalize", 1, cudaErrorNotSupported);
    auto plan = made_plan(shape, direction, &files_);
    reset();
    return plan;
  }
  test::TemporaryFolder folder_;
  PlanFiles files_{folder_.path() / "new" / "plans"};
};

TEST_F(FilesOfPlans, ALayerIsDescribedWithAllItsExtents) {
  ConvShape shape = kPlannedShape;
  shape.height = 7;
  shape.kernel_h = 5;
  EXPECT_EQ(cuda::vendor::describe(shape, Direction::BackwardData),
            "backward data of convolution 2x7x6x8 -> 2x5x6x16, 5x3, stride 1, pad 1, groups 1, bf16");
}

TEST_F(FilesOfPlans, GiveBackWhatWasWritten) {
  const PlanBytes plan{0, 255, 10, 13, 10, 7};
  EXPECT_EQ(files_.read("one"), std::nullopt);
  files_.write("one", plan);
  files_.write("two", PlanBytes{1});
  EXPECT_EQ(files_.read("one"), plan);
  EXPECT_EQ(files_.read("two"), PlanBytes{1});
  files_.write("one", PlanBytes{2, 3});
  EXPECT_EQ(files_.read("one"), (PlanBytes{2, 3}));
  EXPECT_EQ(all().size(), 2u) << "parts are left";
}

TEST_F(FilesOfPlans, LieWhereTheEnvironmentSays) {
  ::setenv("WINNOW_CUDNN_PLANS", folder_.path().c_str(), 1);
  const PlanFiles* const files = PlanFiles::of_environment();
  ::unsetenv("WINNOW_CUDNN_PLANS");
  ASSERT_NE(files, nullptr);
  EXPECT_EQ(files->path_of("one").parent_path(), folder_.path());
}

TEST_F(FilesOfPlans, AreAsNoneWhereAnythingOfThemIsWrong) {
  files_.write("one", PlanBytes{10, 20, 30});
  const std::string whole = text_in(files_.path_of("one"));
  ASSERT_GT(whole.size(), 30u);
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    put_text(files_.path_of("one"), damaged);
    EXPECT_EQ(files_.read("one"), std::nullopt) << "byte " << at;
    put_text(files_.path_of("one"), whole.substr(0, at));
    EXPECT_EQ(files_.read("one"), std::nullopt) << "cut at " << at;
  }
  put_text(files_.path_of("one"), whole + "x");
  EXPECT_EQ(files_.read("one"), std::nullopt);
  // Under the name of another one, as where two lines have one checksum.
  put_text(files_.path_of("two"), whole);
  EXPECT_EQ(files_.read("two"), std::nullopt);
  files_.write("one", PlanBytes{10, 20, 30});
  EXPECT_EQ(text_in(files_.path_of("one")), whole) << "it is replaced";
}

TEST_F(FilesOfPlans, ThatCannotBeWrittenAreNoError) {
  put_text(folder_.path() / "file", "");
  const PlanFiles below_a_file(folder_.path() / "file" / "plans"), in_a_file(folder_.path() / "file");
  for (const PlanFiles* files : {&below_a_file, &in_a_file}) {
    files->write("one", PlanBytes{1});
    EXPECT_EQ(files->read("one"), std::nullopt);
    EXPECT_NE(made_plan(kPlannedShape, Direction::Forward, files), nullptr);
  }
}

TEST_F(FilesOfPlans, OfManyWritersAreAlwaysWhole) {
  std::vector<std::thread> writers;
  for (std::uint8_t writer = 1; writer <= 4; ++writer) {
    writers.emplace_back([&, writer] {
      for (int i = 0; i < 20; ++i) {
        files_.write("one", PlanBytes(1000u * writer, writer));
        const auto found = files_.read("one");
        ASSERT_TRUE(found);
        ASSERT_EQ(*found, PlanBytes(found->size(), found->front()));
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(all().size(), 1u);
}

TEST_F(FilesOfPlans, SpareALaterProcessTheSearch) {
  for (const Direction direction : {Direction::Forward, Direction::BackwardData, Direction::BackwardWeights}) {
    EXPECT_EQ(without_engines(kPlannedShape, direction), nullptr);
    const auto made = made_plan(kPlannedShape, direction, &files_);
    ASSERT_NE(made, nullptr);
    const auto found = without_engines(kPlannedShape, direction);
    ASSERT_NE(found, nullptr);
    EXPECT_EQ(found->weights_type(), made->weights_type());
    EXPECT_EQ(found->workspace_bytes(), made->workspace_bytes());
    EXPECT_EQ(found->written(), made->written());
  }
  ConvShape sums = kPlannedShape;
  sums.sums = true;
  EXPECT_EQ(without_engines(sums), nullptr) << "another graph";
  ASSERT_NE(made_plan(sums, Direction::Forward, &files_), nullptr);
  EXPECT_NE(without_engines(sums), nullptr);
  EXPECT_EQ(all().size(), 4u);
}

TEST_F(FilesOfPlans, OfAnotherGpuOrThatTheLibraryRefusesAreMadeAnew) {
  ASSERT_NE(made_plan(kPlannedShape, Direction::Forward, &files_), nullptr);
  set_compute_capability(80);
  fail("cudnnBackendFinalize", 1, cudaErrorNotSupported);
  EXPECT_EQ(made_plan(kPlannedShape, Direction::Forward, &files_), nullptr) << "what another GPU's library chose";
  reset();
  fail("deserialize", 1, cudaErrorNotSupported);
  EXPECT_EQ(without_engines(), nullptr);
  const fs::path path = all().front();
  const std::string whole = text_in(path);
  put_text(path, "nothing");
  EXPECT_NE(made_plan(kPlannedShape, Direction::Forward, &files_), nullptr);
  EXPECT_EQ(text_in(path), whole) << "it is replaced";
}

}  // namespace
}  // namespace winnow::emulator
