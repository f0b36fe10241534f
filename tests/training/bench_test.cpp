// `winnow bench`: what it measures is what it was told, and every mistake is a line that names its argument.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/said.h"

namespace winnow::test {
namespace {

Said bench(std::vector<std::string> args) {
  args.insert(args.begin(), {"bench", "--seconds", "0.01", "--model", "lenet300"});
  return winnow::winnow(args);
}

struct WrongArgument {
  const char *name, *option, *value;
  int code;
  const char* words;
};
void PrintTo(const WrongArgument& of, std::ostream* out) { *out << of.name; }

class WrongBench : public testing::TestWithParam<WrongArgument> {};

TEST_P(WrongBench, IsOneMistakeNamedByItsArgument) {
  const WrongArgument& of = GetParam();
  const Said said = bench({of.option, of.value, "--set", "data.height=8", "--set", "data.width=8"});
  EXPECT_EQ(said.code, of.code);
  EXPECT_NE(said.err.find(of.words), std::string::npos) << said.err;
  EXPECT_NE(said.err.find(std::string(of.option) + " " + of.value), std::string::npos) << said.err;
  EXPECT_EQ(said.out, "");
}

INSTANTIATE_TEST_SUITE_P(
    All, WrongBench,
    testing::Values(
        WrongArgument{"UnknownSection", "--set", "foo=1", 64, "bench reads settings of data, model, method and train"},
        WrongArgument{"UnknownKey", "--set", "train.learning_rate=1", 65, "did you mean 'train.lr'"},
        WrongArgument{"UnknownKeyOfTheMethod", "--set", "method.density=1", 65,
                      "'method.density' is read by no selected method"},
        WrongArgument{"WrongValue", "--set", "train.lr=abc", 65, "'train.lr' must be a number, is abc"},
        WrongArgument{"SavedNowhere", "--set", "save.weights.form=csr", 64, "bench reads settings of"},
        WrongArgument{"AnAxis", "--set", "train.lr=[0.1, 0.2]", 64, "bench measures one trial"},
        WrongArgument{"OtherData", "--set", "data.name=cifar10", 64, "data.name is synthetic"},
        WrongArgument{"HugeBatch", "--batch", "100000000", 65, "'train.batch' must be in [1, 1000000], is 100000000"},
        WrongArgument{"NoBatch", "--batch", "0", 65, "'train.batch' must be in [1, 1000000], is 0"},
        WrongArgument{"UnknownPrecision", "--precision", "fp8", 65, "must be one of auto, f32, bf16"},
        WrongArgument{"UnknownMethod", "--method", "rigel", 65, "did you mean 'rigl'"},
        WrongArgument{"MethodThatNeedsMore", "--method", "rigl", 65, "'method.density' is required"}),
    [](const auto& at) { return at.param.name; });

TEST(Bench, ATrialThatNeedsAnotherIsTwo) {
  const Said said = bench({"--method", "born_again"});
  EXPECT_EQ(said.code, 64);
  EXPECT_NE(said.err.find("bench measures one trial; these are 2, with those that others need"), std::string::npos)
      << said.err;
}

TEST(Bench, MeasuresWhatItWasTold) {
  const Said said = bench({"--json", "--method", "snip", "--set", "method.density=0.5", "--set", "train.batch=12",
                           "--set", "data.height=8", "--set", "data.width=8", "--device", "auto"});
  ASSERT_EQ(said.code, 0) << said.err;
  const auto json = nlohmann::json::parse(said.out);
  EXPECT_EQ(json.at("batch"), 12);
  EXPECT_EQ(json.at("device"), "cpu") << "this program has no other";
  EXPECT_EQ(json.at("method"), "snip");
  // Three layers, forward and twice that backward, but for the gradient of the images.
  const int first = 64 * 300, all = first + 300 * 100 + 100 * 10;
  EXPECT_EQ(json.at("macs_per_step"), 12 * (3 * all - first));
  EXPECT_EQ(
      bench({"--set", "train.optimizer=adam", "--set", "train.momentum=0.5"}).err,
      "winnow: note: --set train.momentum=0.5: 'train.momentum' is not read: it is when train.optimizer is sgd or "
      "sam\n");
}

TEST(Bench, ABatchGivenTwiceIsRefused) {
  const Said said = bench({"--batch", "8", "--set", "train.batch=16"});
  EXPECT_EQ(said.code, 65);
  EXPECT_NE(said.err.find("'train.batch' is given by --batch 8 too"), std::string::npos) << said.err;
}

}  // namespace
}  // namespace winnow::test
