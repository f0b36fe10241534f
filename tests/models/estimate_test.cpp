// What `winnow plan` says of time: the counts behind it, and how finished trials correct it.
#include "experiments/run/estimate.h"

#include <gtest/gtest.h>

namespace winnow {
namespace {

TrialTable trial(const std::string& model, const std::string& method) {
  TrialSpec spec;
  spec.settings.set("data.name", "cifar10");
  spec.settings.set("model.name", model);
  spec.settings.set("method.name", method);
  return TrialTable(std::span(&spec, 1));
}

TEST(MeasuredRatios, WithoutFinishedTrialsTheRuleOfThumbStands) {
  EXPECT_EQ(MeasuredRatios().factor(trial("resnet20", "dense"), 0), 1);
}

TEST(MeasuredRatios, TheNearestFinishedTrialsCorrectAnEstimateByTheirMedian) {
  MeasuredRatios measured;
  measured.add(trial("resnet20", "dense"), 0, 10, 20);
  measured.add(trial("resnet20", "rigl"), 0, 10, 30);
  measured.add(trial("resnet20", "rigl"), 0, 10, 900);  // its machine was busy
  measured.add(trial("resnet20", "rigl"), 0, 10, 31);
  measured.add(trial("vgg16", "dense"), 0, 10, 5);
  EXPECT_DOUBLE_EQ(measured.factor(trial("resnet20", "rigl"), 0), 3.1);
  EXPECT_DOUBLE_EQ(measured.factor(trial("resnet20", "dense"), 0), 2);
  EXPECT_DOUBLE_EQ(measured.factor(trial("vgg16", "snip"), 0), 0.5) << "another method, same network";
  EXPECT_DOUBLE_EQ(measured.factor(trial("lenet5", "snip"), 0), 3) << "all that is known";
}

TEST(MeasuredRatios, ATrialWithoutATimeTeachesNothing) {
  MeasuredRatios measured;
  measured.add(trial("resnet20", "dense"), 0, 10, 0);
  measured.add(trial("resnet20", "dense"), 0, 0, 10);
  EXPECT_EQ(measured.size(), 0u);
}

}  // namespace
}  // namespace winnow
