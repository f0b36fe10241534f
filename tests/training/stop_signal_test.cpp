// Signals that come while kernels compute.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "experiments/run/stop_request.h"
#include "tests/training/small_trial.h"

namespace winnow {
namespace {

// Kernels of oneDNN compute on a stack in the heap: a signal must write nothing there.
TEST(StopSignals, LeaveWhatIsComputedAndTheHeapAlone) {
  const auto trained = [] {
    test::SmallTrial trial("lenet300", {{"name", "dense"}}, {{"epochs", "12"}});
    Trainer trainer = trial.make();
    trainer.run();
    return test::all_weights(trainer);
  };
  const std::vector<float> undisturbed = trained();
  catch_stop_signals();
  std::atomic<bool> over{false};
  std::thread sender([&, receiver = pthread_self()] {
    while (!over) {
      pthread_kill(receiver, SIGUSR2);
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
  });
  const std::vector<float> disturbed = trained();
  over = true;
  sender.join();
  EXPECT_EQ(disturbed, undisturbed);
  ::signal(SIGUSR2, SIG_DFL);
}

}  // namespace
}  // namespace winnow
