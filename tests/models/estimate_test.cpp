// What `winnow plan` says of time: the counts behind it, and how finished trials correct it.
#include "experiments/run/estimate.h"

#include <gtest/gtest.h>

namespace winnow {
namespace {

TrialSpec trial(const std::string& model, const std::string& method) {
  TrialSpec spec;
  spec.settings.set("data.name", "cifar10");
  spec.settings.set("model.name", model);
  spec.settings.set("method.name", method);
  return spec;
}

TEST(MeasuredTimes, WithoutFinishedTrialsTheRuleOfThumbStands) {
  EXPECT_EQ(MeasuredTimes().factor(trial("resnet20", "dense")), 1);
}

TEST(MeasuredTimes, TheNearestFinishedTrialsCorrectAnEstimateByTheirMedian) {
  MeasuredTimes measured;
  measured.add(trial("resnet20", "dense"), 10, 20);
  measured.add(trial("resnet20", "rigl"), 10, 30);
  measured.add(trial("resnet20", "rigl"), 10, 900);  // its machine was busy
  measured.add(trial("resnet20", "rigl"), 10, 31);
  measured.add(trial("vgg16", "dense"), 10, 5);
  EXPECT_DOUBLE_EQ(measured.factor(trial("resnet20", "rigl")), 3.1);
  EXPECT_DOUBLE_EQ(measured.factor(trial("resnet20", "dense")), 2);
  EXPECT_DOUBLE_EQ(measured.factor(trial("vgg16", "snip")), 0.5) << "another method, same network";
  EXPECT_DOUBLE_EQ(measured.factor(trial("lenet5", "snip")), 3) << "all that is known";
}

TEST(MeasuredTimes, ATrialWithoutATimeTeachesNothing) {
  MeasuredTimes measured;
  measured.add(trial("resnet20", "dense"), 10, 0);
  measured.add(trial("resnet20", "dense"), 0, 10);
  EXPECT_EQ(measured.size(), 0u);
}

}  // namespace
}  // namespace winnow
