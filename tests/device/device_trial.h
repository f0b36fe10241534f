// For tests: a small trial of one rank, on the CPU or a device, and what is seen of it.
#pragma once

#include <cmath>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "distributed/device_ranks.h"
#include "tests/device/emulated.h"
#include "tests/training/process.h"

namespace winnow::test {

struct TrialCase {
  std::string name, model;
  Pairs method, train = {}, data = {};
  double tolerance = 0.02;  // relative, of every loss
  bool ranks = false;       // with a neighbour
  friend std::ostream& operator<<(std::ostream& stream, const TrialCase& trial) { return stream << trial.name; }
};

// What is seen of a trial: loss and accuracy of every step, and the test loss and weights at its end.
struct Seen {
  std::vector<double> losses, accuracies;
  double test_loss = 0;
  std::vector<float> weights;
  std::int64_t bytes_sent = 0, bytes_dense = 0;
  bool diverged = false;
  bool operator==(const Seen&) const = default;
};

class Losses final : public TrainObserver {
 public:
  void step_done(const StepReport& report) override {
    all.push_back(report.loss);
    accuracies.push_back(report.accuracy);
  }
  std::vector<double> all, accuracies;
};

// Where the trial runs: without a stream on the CPU, without a communicator alone.
struct Place {
  std::shared_ptr<DeviceStream> stream = nullptr;
  Communicator* comm = nullptr;
  DeviceRanks* devices = nullptr;
};

inline Seen train(const TrialCase& of, const Place& place) {
  Pairs settings = {{"epochs", "2"}, {"batch", "4"}, {"eval_batch", "10"}, {"lr", "0.01"}};
  settings.insert(settings.end(), of.train.begin(), of.train.end());
  Pairs data = {{"examples", "16"}, {"test_examples", "10"}};
  data.insert(data.end(), of.data.begin(), of.data.end());
  SmallTrial trial(of.model, of.method, settings, data, {}, place.comm);
  Losses losses;
  trial.observer = &losses;
  ProgramCache programs(place.stream);
  TrainJob job = trial.job();
  job.programs = &programs;
  job.devices = place.devices;
  Trainer trainer(job);
  const Trainer::Outcome outcome = trainer.run();
  return {losses.all,           losses.accuracies,  trainer.evaluate(Split::Test).loss,
          all_weights(trainer), outcome.bytes_sent, outcome.bytes_dense,
          outcome.diverged};
}

inline void expect_near(const Seen& found, const Seen& expected, double tolerance) {
  ASSERT_EQ(found.losses.size(), expected.losses.size());
  for (std::size_t i = 0; i < found.losses.size(); ++i) {
    EXPECT_NEAR(found.losses[i], expected.losses[i], tolerance * std::abs(expected.losses[i])) << "step " << i;
  }
  // An example whose outputs are nearly equal may be counted on one side alone.
  double differ = 0;
  for (std::size_t i = 0; i < found.accuracies.size(); ++i) {
    differ += std::abs(found.accuracies[i] - expected.accuracies[i]);
  }
  EXPECT_LE(differ, 0.25 + 0.03 * static_cast<double>(found.accuracies.size())) << "summed over steps";
  EXPECT_NEAR(found.test_loss, expected.test_loss, tolerance * expected.test_loss);
}

// The stream of the device of this rank.
inline std::shared_ptr<DeviceStream> device_of(Communicator& comm) { return cuda::open_stream(comm.rank()); }

#if defined(WINNOW_EMULATED)
inline void machine_of(int devices, emulator::LaneOrder order = emulator::LaneOrder::Forward) {
  emulator::reset();
  emulator::set_device_count(devices);
  emulator::set_lane_order(order, 3);
  emulator::set_stream_seed(static_cast<std::uint64_t>(order));
}

inline void expect_clean_machine() {
  for (const emulator::Report& report : emulator::reports()) ADD_FAILURE() << report.work << ": " << report.what;
  EXPECT_EQ(emulator::live(), emulator::Live{}) << "something of a device was not given back";
}
#endif

// Small images: the emulator runs some ten million lanes a second.
inline Pairs tiny_images() { return {{"height", "8"}, {"width", "8"}, {"channels", "3"}, {"classes", "3"}}; }
// LeNet-5 needs that much.
inline Pairs small_images() { return {{"height", "16"}, {"width", "16"}, {"channels", "3"}, {"classes", "3"}}; }

}  // namespace winnow::test
