// Born-again networks and tickets inside a training run.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>

#include "core/error.h"
#include "tests/methods/trial_tools.h"

namespace winnow {
namespace {

using test::Pairs;
using test::SmallTrial;

// The teacher's values in the student: its loss is then the entropy of its own outputs, and nothing pulls it away.
TEST(BornAgain, AStudentThatIsItsTeacherHasNoGradient) {
  SmallTrial trial("lenet300", {{"name", "born_again"}}, {{"lr", "0.1"}, {"momentum", "0"}});
  Trainer trainer = trial.make();
  trainer.start_phase(0);
  for (std::size_t p = 0; p < trainer.params().size(); ++p) {
    // sample_needed() draws the teacher's from seed 77, and drops nothing of a teacher.
    trainer.params().redraw(ParamId(p), 77);
  }
  const std::vector<float> before = test::all_weights(trainer);
  for (int i = 0; i < 3; ++i) trainer.train_step();
  EXPECT_LT(test::largest_difference(before, test::all_weights(trainer)), 1e-6);
}

// The loss of the labels, and that which the method adds, at the first step of a student of this kind.
StepReport first_report(const Pairs& method) {
  SmallTrial trial("lenet300", test::method_of("born_again", method));
  Trainer trainer = trial.make();
  trainer.start_phase(0);
  return trainer.train_step();
}

TEST(BornAgain, TheLabelsLossIsReportedWhetherItIsTrainedOrNot) {
  SmallTrial dense("lenet300");
  Trainer alone = dense.make();
  alone.start_phase(0);
  const StepReport plain = alone.train_step();
  const StepReport ban = first_report({}), both = first_report({{"labels", "1"}}),
                   sure = first_report({{"loss", "cwtm"}});
  for (const StepReport& report : {ban, both, sure}) {
    EXPECT_EQ(report.loss, plain.loss);
    EXPECT_EQ(report.accuracy, plain.accuracy);
    ASSERT_EQ(report.losses.size(), 1u);
  }
  EXPECT_EQ(ban.losses[0], both.losses[0]) << "the weight is that of the labels' part";
  EXPECT_GT(std::fabs(ban.losses[0] - plain.loss), 1e-3);
  EXPECT_NEAR(sure.losses[0], plain.loss, 0.1 * plain.loss) << "the same rows, each weighed a little otherwise";
  EXPECT_NE(sure.losses[0], plain.loss);
}

// What a step of plain SGD changes is linear in the parts of the loss.
TEST(BornAgain, TheUpdateIsThatOfTheOutputsAndOfTheLabelsByTheirWeight) {
  const auto update = [](const Pairs& method) {
    SmallTrial trial("lenet300", method, {{"lr", "0.1"}, {"momentum", "0"}, {"weight_decay", "0"}});
    Trainer trainer = trial.make();
    trainer.start_phase(0);
    std::vector<float> before = test::all_weights(trainer);
    trainer.train_step();
    const std::vector<float> after = test::all_weights(trainer);
    for (std::size_t i = 0; i < after.size(); ++i) before[i] = after[i] - before[i];
    return before;
  };
  const auto labels = update({{"name", "dense"}}), outputs = update({{"name", "born_again"}});
  const auto both = update({{"name", "born_again"}, {"labels", "0.5"}});
  std::vector<float> sum;
  for (std::size_t i = 0; i < labels.size(); ++i) sum.push_back(outputs[i] + 0.5f * labels[i]);
  EXPECT_LT(test::largest_difference(both, sum), 1e-6);
  EXPECT_GT(test::largest_difference(both, outputs), 1e-4);
}

// A teacher that is equally sure of all images weighs nothing.
TEST(BornAgain, ConfidenceWeighsRelativeToTheBatch) {
  SmallTrial trial("lenet300", {{"name", "born_again"}, {"loss", "cwtm"}}), dense("lenet300");
  auto indifferent = std::make_unique<Needed>(test::sample_needed(trial.build(), "born_again", "teacher", false));
  for (NeededTensor& tensor : indifferent->tensors) std::ranges::fill(tensor.values, 0.0f);
  trial.method().take(*indifferent);
  Trainer student = trial.make(), alone = dense.make();
  student.start_phase(0);
  alone.start_phase(0);
  for (int i = 0; i < 3; ++i) {
    student.train_step();
    alone.train_step();
  }
  EXPECT_LT(test::largest_difference(test::all_weights(student), test::all_weights(alone)), 1e-6);
}

TEST(BornAgain, LearnsAnythingThatItsTeacherKnows) {
  for (const char* model : {"lenet5", "resnet20"}) {
    SmallTrial trial = test::residual_trial({{"name", "born_again"}}, {{"epochs", "3"}, {"lr", "0.01"}}, model);
    Trainer trainer = trial.make();
    trainer.start_phase(0);
    const double first = trainer.train_step().losses.at(0);
    double last = first;
    for (int i = 0; i < 25; ++i) last = trainer.train_step().losses.at(0);
    EXPECT_LT(last, first) << model;
  }
}

// What a trial of born_again says of this teacher.
std::string refusal(const std::function<void(Needed&)>& change) {
  SmallTrial trial("lenet300", {{"name", "born_again"}});
  Needed odd = test::sample_needed(trial.build(), "born_again", "teacher", false);
  change(odd);
  trial.method().take(odd);
  try {
    trial.make();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(BornAgain, ATeacherWhoseNetworkItsTensorsDoNotTellIsRefusedByName) {
  const auto more = [](Needed& needed) { needed.tensors.push_back({"router.weight", {2}, {1, 2}}); };
  EXPECT_EQ(refusal(more), "") << "it has only led to the weights";
  EXPECT_EQ(refusal([&](Needed& needed) {
              more(needed);
              needed.network = Needed::Network::Extended;
            }),
            "00aa-r0 cannot teach: its method gave its network the tensor 'router.weight', which its model lacks");
  EXPECT_EQ(refusal([](Needed& needed) { needed.network = Needed::Network::Other; }),
            "00aa-r0 cannot teach: its method evaluates another network than its model");
  EXPECT_EQ(refusal([](Needed& needed) { needed.tensors.erase(needed.tensors.begin()); }),
            "00aa-r0 cannot teach: its result has no tensor 'fc1.weight' of 235200 values, which its model needs");
}

TEST(BornAgain, ATeacherOfOtherImagesOrClassesIsRefusedByName) {
  const auto other = [](const Pairs& data) {
    auto trial = std::make_shared<SmallTrial>("lenet300", Pairs{{"name", "dense"}}, Pairs{}, data);
    return [trial](Needed& needed) { needed = test::sample_needed(trial->build(), "born_again", "teacher", false); };
  };
  EXPECT_NE(refusal(other({{"height", "16"}})).find("cannot teach: it takes batches of images"), std::string::npos);
  EXPECT_NE(refusal(other({{"classes", "7"}})).find("cannot teach: its scores of a batch are"), std::string::npos);
}

TEST(Ticket, StartsFromTheWeightsThatItIsTold) {
  const auto start = [](const char* weights) {
    SmallTrial trial("lenet300", {{"name", "ticket"}, {"of", "dense"}, {"weights", weights}});
    Needed trained = test::sample_needed(trial.build(), "ticket", "of", true);
    for (float& value : trained.tensors[0].values) value *= 2;
    trial.method().take(trained);
    Trainer trainer = trial.make();
    trainer.start_phase(0);
    return test::copy_of(trainer, "fc1.weight");
  };
  SmallTrial plain("lenet300");
  Trainer trainer = plain.make();
  trainer.start_phase(0);
  const std::vector<float> drawn = test::copy_of(trainer, "fc1.weight");
  trainer.params().redraw(test::named(trainer, "fc1.weight"), 77);
  const std::vector<float> other = test::copy_of(trainer, "fc1.weight");
  const std::vector<float> fresh = start("new"), rewound = start("rewind"), ended = start("end");
  for (std::size_t i = 0; i < drawn.size(); ++i) {
    const bool kept = i % 2 == 0;  // sample_needed() keeps every second
    ASSERT_EQ(fresh[i], kept ? drawn[i] : 0);
    ASSERT_EQ(rewound[i], kept ? other[i] : 0);
    ASSERT_EQ(ended[i], kept ? 2 * other[i] : 0) << "it has doubled them";
  }
}

TEST(Ticket, AMaskOfAnotherModelIsRefusedByName) {
  SmallTrial trial("lenet300", {{"name", "ticket"}, {"of", "dense"}});
  const SmallTrial other("lenet5");
  const Needed odd = test::sample_needed(other.build(), "ticket", "of", true);
  SmallTrial wrong("lenet300", {{"name", "ticket"}, {"of", "dense"}}, {},
                   {{"height", "16"}, {"width", "16"}, {"channels", "3"}});
  wrong.method().take(odd);
  try {
    wrong.make();
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("00aa-r0 has no tensor 'fc1.weight'"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace winnow
