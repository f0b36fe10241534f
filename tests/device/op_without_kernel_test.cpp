// An op that has no kernel for the device costs the trials that need it, with a line that names both, and no others.
#include "core/op.h"
#include "experiments/results/layout.h"
#include "experiments/results/trial_file.h"
#include "tests/device/emulated.h"

#if defined(WINNOW_EMULATED)
#include "tests/device/run_on_emulated.h"

namespace winnow::test {
namespace {

// Runs on the host alone while this lives. (No op of ours is like that: DeviceKernels.EveryOp...)
class WithoutKernel {
 public:
  explicit WithoutKernel(const char* op) : kernels_(const_cast<OpDef&>(find_op(op)).kernel), before_(kernels_) {
    kernels_ = {.cpu = before_.on(Device::Cpu)};
  }
  ~WithoutKernel() { kernels_ = before_; }
  WithoutKernel(const WithoutKernel&) = delete;
  WithoutKernel& operator=(const WithoutKernel&) = delete;

 private:
  KernelTable& kernels_;
  const KernelTable before_;
};

class OpWithoutKernel : public RunOnEmulated {
 protected:
  OpWithoutKernel()
      : RunOnEmulated(
            "  - cases:\n"
            "      - {name: dense, train.optimizer: adam}\n"
            "      - {name: gmp, method.density: 0.2}\n"
            "    key: method.name\n") {}
};

TEST_F(OpWithoutKernel, FailsTheTrialsThatNeedItAndNoOthers) {
  const WithoutKernel adam("adam_step");
  const RunSaid said = run({"--device", "cuda"});
  EXPECT_EQ(said.code, 0) << said.err;
  EXPECT_TRUE(said.has("op 'adam_step' has no kernel for CUDA")) << said.err;
  EXPECT_TRUE(said.has("2 trials: 0 already done, 1 trained, 0 diverged, 1 failed")) << said.err;
  const TrialTable all = trials();
  for (std::size_t i = 0; i < all.size(); ++i) {
    const bool needs_it = all.text(i, "method.name") == "dense";
    EXPECT_EQ(files_.exists(Layout(out()).failure(all.name(i))), needs_it) << all.name(i);
    EXPECT_EQ(files_.exists(Layout(out()).trial(all.name(i))), !needs_it) << all.name(i);
  }
  EXPECT_EQ(run({"--device", "cpu"}).code, 0) << "where the CPU has one";
  for (std::size_t i = 0; i < all.size(); ++i) EXPECT_TRUE(files_.exists(Layout(out()).trial(all.name(i))));
}

}  // namespace
}  // namespace winnow::test
#endif
