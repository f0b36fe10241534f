// Where a run trains: the choice of train.device, what is said where there is no GPU, provenance, and what becomes of trials
// that do not fit or whose device fails. On the emulated device, which can be without a driver.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "experiments/results/trial_file.h"
#include "experiments/run/devices.h"
#include "experiments/run/run_trial.h"
#include "kernels/cuda/code_for.h"
#include "kernels/cuda/layers.h"
#include "tests/device/run_on_emulated.h"
#include "tests/said.h"
#include "tests/training/whole_trial.h"

#if defined(WINNOW_EMULATED)
namespace winnow::test {
namespace {

class Gpus : public RunOnEmulated {
 protected:
  Gpus() : RunOnEmulated("  - train.eval_batch: [16, 1000000]\n") {}
  // Of the trial that fits, after a run.
  TrialResult result() const {
    const auto all = files("trials");
    EXPECT_EQ(all.size(), 1u);
    return all.empty() ? TrialResult{} : read_trial(all.front());
  }
  std::vector<std::filesystem::path> files(const char* folder) const {
    std::vector<std::filesystem::path> found;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(out() / folder)) {
      if (entry.is_regular_file()) found.push_back(entry.path());
    }
    return found;
  }
};

TEST_F(Gpus, WhyThereIsNoneIsToldApart) {
  EXPECT_EQ(survey_gpus().problem, "");
  emulator::set_driver_version(12020);
  EXPECT_EQ(survey_gpus().problem,
            "the NVIDIA driver is too old: it is for CUDA 12.2, this program needs one for CUDA 13.0");
  emulator::set_driver_version(0);
  EXPECT_EQ(survey_gpus().problem, "no NVIDIA driver is installed, or it does not run");
  emulator::reset();
  emulator::set_device_count(0);
  EXPECT_EQ(survey_gpus().problem, "there is a driver for CUDA 13.0, but no GPU");
  ::setenv("CUDA_VISIBLE_DEVICES", "7", 1);
  EXPECT_EQ(survey_gpus().problem, "no GPU is visible: CUDA_VISIBLE_DEVICES is '7'");
  ::unsetenv("CUDA_VISIBLE_DEVICES");
}

TEST_F(Gpus, OneOlderThanTheCodeIsOneLineBeforeAnyTrial) {
  for (const int capability : {80, 89}) {
    emulator::set_compute_capability(capability);
    EXPECT_EQ(survey_gpus().problem, "") << capability;
  }
  emulator::set_compute_capability(75);
  const std::string problem =
      "GPU 0 (Emulated GPU) has compute capability 7.5, this program has code for 8.0 to 8.9, 9.0 and later "
      "(CUDA_VISIBLE_DEVICES leaves GPUs out)";
  const RunSaid said = run({"--device", "cuda"});
  EXPECT_EQ(said.code, 69);
  EXPECT_EQ(said.err, "winnow: error: train.device is cuda, but " + problem +
                          "   (train.device: auto trains on the CPU then; see winnow doctor)\n");
  EXPECT_FALSE(std::filesystem::exists(out() / "running"));
  const Said doctor = winnow::winnow({"doctor"});
  EXPECT_EQ(doctor.code, 0) << doctor.out;
  EXPECT_NE(doctor.out.find("none  GPU        " + problem + ": trials are trained on the CPU\n"), std::string::npos)
      << doctor.out;
}

// Code for 8.0 and 10.0, with PTX of the latter, is none for an H100.
TEST_F(Gpus, CodeIsForItsOwnMajorNumberAndPtxForAllThatCameLater) {
  constexpr int kBoth[] = {80, 100}, kOne[] = {86};
  const cuda::CodeFor both{kBoth, 100}, one{kOne, 86};
  for (const int capability : {80, 86, 89, 100, 103, 120}) EXPECT_TRUE(cuda::runs_on(both, capability)) << capability;
  for (const int capability : {75, 90}) EXPECT_FALSE(cuda::runs_on(both, capability)) << capability;
  EXPECT_FALSE(cuda::runs_on(one, 80));
  EXPECT_TRUE(cuda::runs_on(one, 90));
  EXPECT_EQ(cuda::said_of(both), "8.0 to 8.9, 10.0 and later");
  EXPECT_EQ(cuda::said_of(one), "8.6 and later");
}

TEST_F(Gpus, CudaWithoutOneIsOneLineBeforeAnyTrial) {
  emulator::set_driver_version(0);
  const RunSaid said = run({"--device", "cuda"});
  EXPECT_EQ(said.code, 69);
  EXPECT_EQ(
      said.err,
      "winnow: error: train.device is cuda, but no NVIDIA driver is installed, or it does not run   (train.device: "
      "auto trains on the CPU then; see winnow doctor)\n");
  EXPECT_FALSE(std::filesystem::exists(out() / "running"));
}

TEST_F(Gpus, APlanForThemHasANoteWhereThereIsNone) {
  const std::string note = "note winnow run would stop on this machine: train.device is cuda, but ";
  EXPECT_EQ(winnow({"plan", "--device", "cuda"}).out.find(note), std::string::npos);
  emulator::set_driver_version(0);
  const RunSaid said = winnow({"plan", "--device", "cuda"});
  EXPECT_EQ(said.code, 0) << said.err;
  EXPECT_NE(said.out.find(note + "no NVIDIA driver is installed, or it does not run\n"), std::string::npos) << said.out;
}

TEST_F(Gpus, AutoWithoutOneTrainsOnTheCpuAndSaysWhy) {
  emulator::set_device_count(0);
  const RunSaid said = run({"--strict", "--set", "train.eval_batch=16"});
  EXPECT_EQ(said.code, 0) << said.err;
  EXPECT_TRUE(said.has("trained on the CPU: there is a driver for CUDA 13.0, but no GPU")) << said.err;
  EXPECT_EQ(result().provenance.at("device"), "cpu");
}

TEST_F(Gpus, ATrialThatDoesNotFitFailsBeforeItsFirstStepAndOthersGoOn) {
  const RunSaid said = run({"--strict"});
  EXPECT_EQ(said.code, 3) << said.err;
  EXPECT_TRUE(said.has("failed: GPU 0 is out of memory: ")) << said.err;
  EXPECT_TRUE(said.has("the trial is planned with ")) << said.err;
  EXPECT_TRUE(said.has(", 5120 for the data set")) << said.err;  // 64 and 16 images of 8 x 8
  EXPECT_TRUE(said.has(" are free")) << said.err;
  EXPECT_EQ(files("failed").size(), 1u);
  const TrialResult trained = result();
  EXPECT_EQ(trained.provenance.at("device"), "cuda");
  EXPECT_EQ(trained.provenance.at("gpu.name"), "Emulated GPU");
  EXPECT_EQ(trained.provenance.at("gpu.uuid"), "GPU-01000000-0000-0000-0000-000000000000");
  EXPECT_EQ(trained.provenance.at("gpu.compute_capability"), "9.0");
  EXPECT_EQ(trained.provenance.at("cuda.driver"), "13.0");
  EXPECT_EQ(trained.provenance.at("cuda.runtime"), "13.0");
}

TEST_F(Gpus, TheDeviceIsNoPartOfATrialsName) {
  EXPECT_EQ(run({"--set", "train.eval_batch=16"}).code, 0);
  const TrialResult on_gpu = result();
  const RunSaid again = run({"--set", "train.eval_batch=16", "--device", "cpu"});
  EXPECT_TRUE(again.has("1 was done") || !again.has("to train")) << again.err;
  std::filesystem::remove_all(out());
  EXPECT_EQ(run({"--set", "train.eval_batch=16", "--device", "cpu"}).code, 0);
  EXPECT_EQ(result().spec.name(), on_gpu.spec.name());
  EXPECT_EQ(result().provenance.at("device"), "cpu");
  EXPECT_NEAR(result().summary.at("final.test_loss"), on_gpu.summary.at("final.test_loss"), 1e-3);
}

TEST_F(Gpus, WorkersTakeTurnsAtTheGpus) {
  const RunDevices two{.gpus = 2, .name = "x", .problem = ""};
  EXPECT_EQ(two.gpu_of("auto", 0), 0);
  EXPECT_EQ(two.gpu_of("cuda", 3), 1);
  EXPECT_EQ(two.gpu_of("cpu", 3), std::nullopt);
  EXPECT_EQ(RunDevices{}.gpu_of("auto", 0), std::nullopt);
  emulator::set_device_count(2);
  const RunSaid said = run({"--set", "train.eval_batch=[16, 17, 18]"});
  EXPECT_EQ(said.code, 0) << said.err;
  EXPECT_TRUE(said.has("by 2 workers")) << said.err;
}

TEST_F(Gpus, OneThatDoesNotStartEndsTheRunWithOneLine) {
  emulator::fail_device(0, cudaErrorECCUncorrectable);
  const RunSaid said = run({});
  EXPECT_EQ(said.code, 69) << said.err;
  EXPECT_TRUE(said.has("GPU 0 does not start: cudaStreamSynchronize: uncorrectable ECC error encountered")) << said.err;
  EXPECT_FALSE(std::filesystem::exists(out() / "failed")) << "no trial is to blame";
}

TEST_F(Gpus, OneOfSeveralThatDoesNotStartLeavesItsTrialsToTheOthers) {
  emulator::set_device_count(3);
  emulator::fail_device(1, cudaErrorECCUncorrectable);
  const RunSaid said = run({"--strict", "--set", "train.eval_batch=[16, 17, 18, 19, 20]"});
  EXPECT_EQ(said.code, 0) << said.err;
  EXPECT_TRUE(said.has("5 trained, 0 diverged, 0 failed")) << said.err;
  const std::string line =
      "warning: GPU 1 does not start: cudaStreamSynchronize: uncorrectable ECC error encountered: its worker has "
      "ended\n";
  const std::size_t at = said.err.find(line);
  ASSERT_NE(at, std::string::npos) << said.err;
  EXPECT_EQ(said.err.find("does not start", at + line.size()), std::string::npos) << "more than one line: " << said.err;
}

// A single trial is the first GPU's.
TEST_F(Gpus, AWorkerThatIsAloneTakesAnotherOneForThatWhichDoesNotStart) {
  emulator::set_device_count(3);
  emulator::fail_device(0, cudaErrorECCUncorrectable);
  emulator::fail_device(1, cudaErrorECCUncorrectable);
  const RunSaid said = run({"--strict", "--set", "train.eval_batch=16"});
  EXPECT_EQ(said.code, 0) << said.err;
  EXPECT_EQ(result().provenance.at("gpu.uuid"), "GPU-03000000-0000-0000-0000-000000000000");
}

TEST_F(Gpus, WhereNoneStartsTheRunEnds) {
  emulator::set_device_count(2);
  emulator::fail_device(0, cudaErrorECCUncorrectable);
  emulator::fail_device(1, cudaErrorECCUncorrectable);
  for (const char* trials : {"train.eval_batch=16", "train.eval_batch=[16, 17, 18]"}) {
    const RunSaid said = run({"--set", trials});
    EXPECT_EQ(said.code, 69) << said.err;
    EXPECT_TRUE(said.has("winnow: error: GPU ")) << said.err;
    EXPECT_FALSE(std::filesystem::exists(out() / "failed")) << "no trial is to blame";
  }
}

TEST_F(Gpus, OneIsKnownByItsUuidWhereAnotherOneHasGone) {
  emulator::set_device_count(3);
  GpuSurvey now = survey_gpus();
  RunDevices devices{.gpus = 3, .name = "x", .problem = "", .uuids = {}};
  for (const Gpu& gpu : now.gpus) devices.uuids.push_back(gpu.uuid);
  EXPECT_EQ(devices.number_in(now, 2), 2);
  now.gpus.erase(now.gpus.begin() + 1);
  EXPECT_EQ(devices.number_in(now, 0), 0);
  EXPECT_EQ(devices.number_in(now, 1), std::nullopt);
  EXPECT_EQ(devices.number_in(now, 2), 1);
}

TEST_F(Gpus, ThoseThatAreLostAreNoWorkersTurn) {
  const RunDevices devices{.gpus = 4, .name = "x", .problem = "", .lost = {0, 2}};
  EXPECT_EQ(devices.usable(), 2);
  EXPECT_EQ(devices.gpu_of("auto", 0), 1);
  EXPECT_EQ(devices.gpu_of("auto", 1), 3);
  EXPECT_EQ(devices.gpu_of("cuda", 2), 1);
  const RunDevices none{.gpus = 2, .name = "x", .problem = "", .lost = {0, 1}};
  EXPECT_EQ(none.gpu_of("auto", 1), 1) << "tried again";
}

// In a thread of its own, which takes the stream and its memory with it.
TEST_F(Gpus, AFaultOfTheDeviceIsToldFromAFailureOfTheTrial) {
  const TrialSpec spec = spec_of("{name: dense}", "epochs: 1, batch: 32, lr: 0.05, precision: f32");
  std::thread([&] {
    const auto self = make_self();
    int asked = 0;
    RunTrialOptions options;
    options.gpu = 0;
    options.stop_requested = [&] {
      if (++asked == 3) emulator::fail_device(0, cudaErrorIllegalAddress);
      return false;
    };
    EXPECT_THROW(run_trial(spec, *self, options), DeviceLost);
  }).join();
  emulator::reset();
  std::thread([&] {
    const auto self = make_self();
    RunTrialOptions options;
    options.gpu = 0;
    options.progress = [](const TrialProgress&) { throw std::runtime_error("something of the host"); };
    const TrialResult result = run_trial(spec, *self, options);
    EXPECT_EQ(result.outcome, Outcome::Failed);
    EXPECT_EQ(result.reason, "something of the host");
  }).join();
}

// A library that meets it first knows no more than that it could not launch.
TEST_F(Gpus, AFaultOfTheDeviceIsSaidAsTheDeviceSaysIt) {
  const TrialSpec spec = spec_of("{name: dense}", "epochs: 1, batch: 32, lr: 0.05, precision: f32");
  std::string said;
  std::thread([&] {
    const auto self = make_self();
    std::atomic<int> launches = 0;
    emulator::before_launches([&] {
      if (launches++ != 6) return;  // the first of a step: six parameters were drawn
      emulator::fail_device(0, cudaErrorIllegalAddress);
      emulator::fail("cublasLtMatmul", 1, cudaErrorLaunchFailure);
    });
    RunTrialOptions options;
    options.gpu = 0;
    try {
      run_trial(spec, *self, options);
    } catch (const DeviceLost& lost) {
      said = lost.what();
    }
    emulator::before_launches({});
  }).join();
  emulator::reset();
  EXPECT_EQ(said.find("GPU 0: cublasLtMatmul: "), 0) << said;
  EXPECT_NE(said.find("; then "), std::string::npos) << said;
  EXPECT_NE(said.find("an illegal memory access was encountered"), std::string::npos) << said;
}

TEST_F(Gpus, WhatDoesNotFitIsNoMistakeOfOurs) {
  const Said said =
      winnow::winnow({"bench", "--device", "cuda", "--model", "lenet300", "--batch", "400000", "--seconds", "0.1"});
  EXPECT_EQ(said.code, 69) << said.err;
  EXPECT_EQ(said.err.find("winnow: error: GPU 0 is out of memory: "), 0) << said.err;
  emulator::reset();
}

TEST_F(Gpus, DoctorListsThemAndTrainsOnEach) {
  emulator::set_device_count(2);
  const Said said = winnow::winnow({"doctor", "--device", "cuda"});
  EXPECT_EQ(said.code, 0) << said.out;
  EXPECT_NE(said.out.find("ok    GPU 1      Emulated GPU, 1 GiB, compute capability 9.0, "
                          "GPU-02000000-0000-0000-0000-000000000000, reaches 0"),
            std::string::npos)
      << said.out;
  EXPECT_NE(said.out.find("ok    training   works on GPU 1"), std::string::npos) << said.out;
  EXPECT_NE(said.out.find(" a step of lenet5\n"), std::string::npos) << "without convolutions: " << said.out;
  EXPECT_NE(said.out.find("driver 13.0, runtime 13.0"), std::string::npos) << said.out;
  emulator::reset();
  emulator::set_driver_version(0);
  EXPECT_EQ(winnow::winnow({"doctor"}).code, 0);
  const Said without = winnow::winnow({"doctor", "--device", "cuda", "--json"});
  EXPECT_EQ(without.code, 69);
  const auto json = nlohmann::json::parse(without.out);
  EXPECT_EQ(json.at("can_train"), false);
  bool said_why = false;
  for (const auto& one : json.at("findings")) {
    said_why = said_why || (one.at("what") == "GPU" && one.at("state") == "none" &&
                            one.at("costs") == "trials are trained on the CPU");
  }
  EXPECT_TRUE(said_why) << without.out;
  EXPECT_EQ(json.at("findings").back().at("found"),
            "does not work on GPUs: no NVIDIA driver is installed, or it does not run");
  emulator::reset();
  emulator::fail("launch", 1, cudaErrorLaunchOutOfResources);
  const Said broken = winnow::winnow({"doctor"});
  EXPECT_EQ(broken.code, 69);
  EXPECT_NE(broken.out.find("fail  training   fails on GPU 0: "), std::string::npos) << broken.out;
}

// Forward of a convolution that this process has not planned yet.
std::unique_ptr<PlannedLayer> new_layer() {
  static std::int64_t batch = 100;
  return cuda::make_layer(ConvShape{.batch = ++batch,
                                    .height = 3,
                                    .width = 3,
                                    .in = 8,
                                    .out = 8,
                                    .kernel_h = 3,
                                    .kernel_w = 3,
                                    .stride = 1,
                                    .pad = 1,
                                    .groups = 1,
                                    .dtype = DType::F32,
                                    .bias = false},
                          Direction::Forward);
}

TEST_F(Gpus, ACudnnThatDoesNotWorkIsAnErrorAndNoReasonToTrainSlowly) {
  for (int nth = 1; nth <= 2; ++nth) emulator::fail("cudnnBackendFinalize", nth, cudaErrorUnknown);
  try {
    new_layer();
    ADD_FAILURE() << "is computed all the same";
  } catch (const std::runtime_error& error) {
    const std::string said = error.what();
    EXPECT_TRUE(
        said.starts_with("cuDNN does not work here, it has no plan for any convolution: cuDNN: no engine for "
                         "this device (forward of convolution "))
        << said;
  }
}

TEST_F(Gpus, ALayerThatNoLibraryComputesIsNotedOnce) {
  emulator::fail("cudnnBackendFinalize", 1, cudaErrorUnknown);
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(new_layer()->implementation(), "direct");
  EXPECT_NE(new_layer()->implementation(), "direct");
  const std::string said = ::testing::internal::GetCapturedStderr();
  EXPECT_TRUE(said.starts_with("note forward of convolution ")) << said;
  EXPECT_TRUE(said.ends_with(": cuDNN has no way, computed by its definition, slowly\n")) << said;
  EXPECT_EQ(std::ranges::count(said, '\n'), 1) << said;
}

TEST_F(Gpus, DoctorSaysWhetherTheDaemonOfMpsRuns) {
  const std::filesystem::path place = folder_ / "mps", id = place / "nvidia-cuda-mps-control.pid";
  std::filesystem::create_directories(place);
  ::setenv("CUDA_MPS_PIPE_DIRECTORY", place.c_str(), 1);
  const auto line = [] {
    const std::string text = winnow::winnow({"doctor"}).out;
    const std::size_t at = text.find(" MPS ");
    EXPECT_NE(at, std::string::npos) << text;
    const std::size_t begin = text.rfind('\n', at) + 1;
    return text.substr(begin, text.find('\n', at) - begin);
  };
  const std::string none =
      "none  MPS        no control daemon at " + place.string() + ": processes that share a GPU take turns";
  EXPECT_EQ(line(), none);
  const pid_t ended = ::fork();
  if (ended == 0) std::_Exit(0);
  ::waitpid(ended, nullptr, 0);
  std::ofstream(id) << ended << "\n";
  EXPECT_EQ(line(), none) << "it has left its file behind";
  std::ofstream(id) << ::getpid() << "\n";
  EXPECT_EQ(line(), fmt::format("ok    MPS        the control daemon runs as process {}", ::getpid()));
  ::unsetenv("CUDA_MPS_PIPE_DIRECTORY");
}

}  // namespace
}  // namespace winnow::test
#endif
