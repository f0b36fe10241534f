// train.device and --device in a program without the CUDA back end, and `bench --dry`, which needs none.
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "experiments/cli/bench_subject.h"
#include "experiments/cli/options.h"
#include "experiments/run/devices.h"
#include "tests/said.h"
#include "tests/temporary_folder.h"
#include "tests/training/run_fixture.h"

namespace winnow::test {
namespace {

class WithoutGpus : public RunFixture {
 protected:
  WithoutGpus() : RunFixture("  - replicate: 1\n") {}
};

TEST_F(WithoutGpus, CudaIsRefusedBeforeAnyTrialAndAutoIsTheCpu) {
  const RunSaid refused = winnow({"run", "--device", "cuda"});
  EXPECT_EQ(refused.code, 69);
  EXPECT_TRUE(refused.has("train.device is cuda, but this winnow was built without the CUDA back end")) << refused.err;
  EXPECT_EQ(winnow({"run", "--threads", "1", "--device", "auto", "--strict"}).code, 0);
  const RunSaid done = winnow({"run", "--threads", "1", "--device", "cuda", "--strict"});
  EXPECT_EQ(done.code, 0) << "the trial is done, whatever trained it: " << done.err;
}

// What is between the end of `before` and the next blank.
std::string word_after(const std::string& text, const std::string& before) {
  const std::size_t at = text.find(before);
  if (at == std::string::npos) return "";
  const std::size_t from = at + before.size();
  return text.substr(from, text.find(' ', from) - from);
}

TEST_F(WithoutGpus, TheTableOfADryBenchAddsUpAndSmallStepsHaveDigits) {
  const Said said = winnow::winnow({"bench", "--device", "cuda", "--dry", "--model", "lenet300"});
  ASSERT_EQ(said.code, 0) << said.err;
  std::istringstream lines(said.out.substr(said.out.find(" kernels")));
  std::string line;
  std::getline(lines, line);
  int kernels = 0, calls = 0, all_kernels = 0, all_calls = 0;
  while (std::getline(lines, line)) {
    std::istringstream row(line);
    int own = 0, library = 0;
    row >> own >> library;
    if (line.ends_with("  sum")) {
      all_kernels = own;
      all_calls = library;
      break;
    }
    kernels += own;
    calls += library;
  }
  EXPECT_GT(calls, 0);
  EXPECT_EQ(kernels, all_kernels);
  EXPECT_EQ(calls, all_calls);
  EXPECT_NE(
      said.out.find(fmt::format("launches    {} a step: {} kernels of winnow and {} calls of cuBLASLt and cuDNN\n",
                                kernels + calls, kernels, calls)),
      std::string::npos)
      << said.out;
  EXPECT_GT(std::stod(word_after(said.out, "H100 SXM, by its data sheet: ")), 0.5) << said.out;
  EXPECT_GT(std::stod(word_after(said.out, "arithmetic  ")), 0.01) << said.out;
}

TEST_F(WithoutGpus, DoctorSaysWhatIsMissingAndThatTheCpuTrains) {
  const Said said = winnow::winnow({"doctor"});
  EXPECT_EQ(said.code, 0) << said.out;
  for (const char* words :
       {"processor", "may be used", "MPI", "HDF5", "oneDNN",
        "none  GPU        this winnow was built without the CUDA back end: trials are trained on the CPU",
        "ok    training   works on the CPU"}) {
    EXPECT_NE(said.out.find(words), std::string::npos) << words << "\n" << said.out;
  }
  const Said on_gpus = winnow::winnow({"doctor", "--device", "cuda"});
  EXPECT_EQ(on_gpus.code, 69);
  const std::string last = on_gpus.out.substr(on_gpus.out.rfind('\n', on_gpus.out.size() - 2) + 1);
  EXPECT_EQ(last,
            "fail  training   does not work on GPUs: this winnow was built without the CUDA back end: winnow run ends "
            "with code 69 where train.device is cuda\n");
  EXPECT_EQ(winnow::winnow({"doctor", "--device", "cpu"}).code, 0);
  EXPECT_EQ(winnow::winnow({"doctor", "--device", "tpu"}).code, 64);
}

TEST_F(WithoutGpus, DoctorTriesWhetherResultsCanBePublishedAndLeavesNothing) {
  const TemporaryFolder folder;
  const std::string place = folder.path().string();
  const Said good = winnow::winnow({"doctor", "--out", place});
  EXPECT_EQ(good.code, 0);
  EXPECT_NE(good.out.find("ok    files      " + place + ": results can be published, in "), std::string::npos)
      << good.out;
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  const Said later = winnow::winnow({"doctor", "--out", place + "/new/out"});
  EXPECT_EQ(later.code, 0);
  EXPECT_NE(later.out.find("/new/out: can be made, and results can be published, in "), std::string::npos) << later.out;
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  std::ofstream(folder.path() / "none") << "a file";
  const Said none = winnow::winnow({"doctor", "--out", place + "/none"});
  EXPECT_EQ(none.code, 74);
  EXPECT_NE(none.out.find("fail  files      " + place + "/none: " + place + "/none is a file"), std::string::npos)
      << none.out;
}

TEST(Devices, GpusWithoutNvidiasLibrariesAreNoGpusAndTheReasonIsOneLine) {
  const GpuSurvey seen{.gpus = std::vector<Gpu>(2), .problem = "", .driver = 13000, .runtime = 13000};
  const auto missing = [] { throw std::runtime_error("libcudnn.so.9: cannot open shared object file"); };
  const GpuSurvey none = with_libraries(seen, missing);
  EXPECT_TRUE(none.gpus.empty());
  EXPECT_EQ(none.problem, "NVIDIA's libraries cannot be loaded: libcudnn.so.9: cannot open shared object file");
  EXPECT_EQ(none.driver, 13000);
  const GpuSurvey all = with_libraries(seen, [] {});
  EXPECT_EQ(all.gpus.size(), 2);
  EXPECT_EQ(all.problem, "");
  EXPECT_EQ(with_libraries(GpuSurvey{.gpus = {}, .problem = "no driver"}, missing).problem, "no driver")
      << "nothing is loaded";
}

TEST_F(WithoutGpus, APlanSaysThatCudaCannotRunHereAndIsAPlanAllTheSame) {
  const std::string note =
      "note winnow run would stop on this machine: train.device is cuda, but this winnow was built without the CUDA "
      "back end\n";
  for (const char* device : {"cuda", "auto", "cpu"}) {
    const RunSaid said = winnow({"plan", "--device", device});
    EXPECT_EQ(said.code, 0) << said.err;
    EXPECT_EQ(said.out.find(note) != std::string::npos, device == std::string("cuda")) << device << "\n" << said.out;
  }
  EXPECT_NE(winnow({"plan", "--device", "cuda"}).out.find(" --device cuda\n"), std::string::npos) << "the next command";
  EXPECT_EQ(winnow({"run", "--threads", "1", "--strict"}).code, 0);
  EXPECT_EQ(winnow({"plan", "--device", "cuda"}).out.find(note), std::string::npos) << "nothing is left to train";
}

TEST_F(WithoutGpus, AWrongDeviceIsAMistakeOfTheOptionOnEveryVerb) {
  for (const char* verb : {"plan", "run"}) {
    const RunSaid said = winnow({verb, "--device", "gpu"});
    EXPECT_EQ(said.code, 65);
    EXPECT_TRUE(said.has("--device gpu: error: 'train.device' must be one of auto, cpu, cuda, is gpu")) << said.err;
    const RunSaid twice = winnow({verb, "--device", "cpu", "--set", "train.device=cuda"});
    EXPECT_EQ(twice.code, 65);
    EXPECT_TRUE(twice.has("--set train.device=cuda: error: 'train.device' is given by --device cpu too")) << twice.err;
  }
  const Said bench = winnow::winnow({"bench", "--device", "gpu"});
  EXPECT_EQ(bench.code, 65);
  EXPECT_NE(bench.err.find("--device gpu: error: 'train.device' must be one of auto, cpu, cuda, is gpu"),
            std::string::npos)
      << bench.err;
}

TEST_F(WithoutGpus, ADryBenchPlansAStepOfAGpu) {
  const auto dry = [](const char* batch, const char* precision) {
    const Said said = winnow::winnow({"bench", "--device", "cuda", "--dry", "--json", "--model", "resnet20", "--batch",
                                      batch, "--precision", precision});
    EXPECT_EQ(said.code, 0) << said.err;
    return nlohmann::json::parse(said.out);
  };
  const auto one = dry("64", "bf16"), two = dry("128", "bf16"), wide = dry("64", "f32");
  EXPECT_EQ(one.at("precision"), "bf16");
  EXPECT_EQ(two.at("flops_per_step"), 2 * one.at("flops_per_step").get<double>());
  // By hand, an image forward: the stem, three stages, the classifier. Backward twice that, but for the images' gradient.
  const double stem = 3 * 16 * 9 * 1024, first = 6 * 16 * 16 * 9 * 1024, second = (16 * 32 + 5 * 32 * 32) * 9 * 256,
               third = (32 * 64 + 5 * 64 * 64) * 9 * 64, classifier = 640;
  EXPECT_EQ(one.at("flops_per_step"), 64 * 2 * (3 * (stem + first + second + third + classifier) - stem));
  EXPECT_EQ(two.at("activation_bytes"), 2 * one.at("activation_bytes").get<double>());
  EXPECT_EQ(wide.at("activation_bytes"), 2 * one.at("activation_bytes").get<double>());
  // Stem and 18 layers of 16 channels at 32x32, 32 at 16x16, 64 at 8x8, and 10 classes.
  EXPECT_EQ(one.at("activation_bytes"), 64 * 2.0 * (7 * 16 * 1024 + 6 * 32 * 256 + 6 * 64 * 64 + 10));
  double launches = 0, bytes = 0;
  for (const auto& op : one.at("ops")) {
    launches += op.at("kernels").get<double>() + op.at("library_calls").get<double>();
    bytes += op.at("bytes_read").get<double>() + op.at("bytes_written").get<double>();
  }
  EXPECT_EQ(one.at("launches_per_step"), launches);
  EXPECT_EQ(one.at("launches_per_step"),
            one.at("kernels_per_step").get<double>() + one.at("library_calls_per_step").get<double>());
  EXPECT_NEAR(bytes, one.at("bytes_read_per_step").get<double>() + one.at("bytes_written_per_step").get<double>(), 1);
  // No node takes less than its memory or its arithmetic.
  for (const auto& bound : one.at("bounds_by_data_sheet")) {
    EXPECT_GE(bound.at("seconds"), bound.at("memory_seconds"));
    EXPECT_GE(bound.at("seconds"), bound.at("arithmetic_seconds"));
  }
  EXPECT_NEAR(one.at("bounds_by_data_sheet")[0].at("memory_seconds").get<double>(), bytes / 2039e9, 1e-9);
  EXPECT_EQ(winnow::winnow({"bench", "--dry"}).code, 64);
  const Said real = winnow::winnow({"bench", "--device", "cuda"});
  EXPECT_EQ(real.code, 69) << real.err;
}

TEST_F(WithoutGpus, ABenchKnowsTheDataSheetOfAGpuByItsName) {
  const auto sheets_of = [](const std::string& gpu, const char* precision) {
    std::ostringstream said;
    const std::vector<std::string> args = {"--device", "cuda", "--model", "lenet300", "--precision", precision};
    return plan_step(bench_subject(*parse_arguments("bench", args, said), said), gpu).sheets;
  };
  EXPECT_TRUE(sheets_of("Emulated GPU", "bf16").empty());
  const auto in_bf16 = sheets_of("NVIDIA H100 80GB HBM3", "bf16"), in_f32 = sheets_of("NVIDIA H100 80GB HBM3", "f32");
  ASSERT_EQ(in_bf16.size(), 1u);
  ASSERT_EQ(in_f32.size(), 1u);
  EXPECT_EQ(in_bf16[0].peak, 989e12);
  EXPECT_EQ(in_f32[0].peak, 67e12);
  EXPECT_EQ(in_bf16[0].bandwidth, 3350e9);
}

}  // namespace
}  // namespace winnow::test
