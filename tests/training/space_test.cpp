// What `winnow plan` says of files and bytes is what a run then takes: for whoever has a quota of either.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "experiments/results/layout.h"
#include "tests/training/run_fixture.h"

namespace winnow::test {
namespace {

constexpr const char* kForms =
    "  - cases:\n"
    "      - {name: dense}\n"
    "      - {name: magnitude, axes: [{method.density: [0.5, 0.1, 0.02]}]}\n"
    "      - {name: rigl, axes: [{method.density: [0.1]}]}\n"
    "      - {name: freezenet, axes: [{method.density: [0.05]}]}\n"
    "      - {name: lsq}\n"
    "    key: method.name\n"
    "  - model.name: [lenet300, resnet20]\n";

class Space : public RunFixture {
 protected:
  Space() : RunFixture(kForms) {}
  nlohmann::json plan() const { return nlohmann::json::parse(winnow({"plan", "--json"}).out); }
  void run(std::vector<std::string> more = {}) const {
    std::vector<std::string> args = {"run", "--workers", "1", "--threads", "1"};
    args.insert(args.end(), more.begin(), more.end());
    const RunSaid said = winnow(args);
    ASSERT_EQ(said.code, 0) << said.err;
  }
};

TEST_F(Space, ResultsTakeWhatThePlanSaysWithinASixth) {
  const nlohmann::json before = plan();
  run();
  double all = 0;
  for (const auto& trial : before.at("trials")) {
    const std::string name = trial.at("name");
    const auto bytes = static_cast<double>(std::filesystem::file_size(Layout(out()).trial(name)));
    all += bytes;
    const double expected = trial.at("result_bytes");
    const auto& settings = trial.at("settings");
    EXPECT_NEAR(expected / bytes, 1, 1.0 / 6)
        << settings.at("method.name") << " " << settings.at("model.name") << ": " << expected << " for " << bytes;
  }
  EXPECT_NEAR(before.at("space").at("result_bytes").get<double>() / all, 1, 0.1);
  const nlohmann::json after = plan();
  EXPECT_EQ(after.at("space").at("result_bytes"), all) << "what is there is known";
  EXPECT_EQ(after.at("space").at("result_bytes_measured_by"), before.at("trials").size());
}

TEST_F(Space, FilesAreCountedAndNoneIsForgotten) {
  const std::size_t expected = plan().at("space").at("files");
  run();
  std::size_t found = 1;  // the folder itself
  double bytes = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(out())) {
    ++found;
    if (entry.is_regular_file()) bytes += static_cast<double>(entry.file_size());
  }
  // A first run without a checkpoint has no folder for these, and no index.
  EXPECT_LE(found, expected);
  EXPECT_GE(found + 2, expected);
  EXPECT_NEAR(plan().at("space").at("bytes").get<double>() / bytes, 1, 0.02);
}

TEST_F(Space, AFinishedTrialCorrectsWhatOthersOfItsKindAreSaidToTake) {
  const auto sum = [&] { return plan().at("space").at("result_bytes").get<double>(); };
  const double before = sum();
  run({"--only", "method.name=magnitude", "--only", "model.name=resnet20"});
  const nlohmann::json now = plan();
  EXPECT_EQ(now.at("space").at("result_bytes_measured_by"), 3);
  EXPECT_NE(now.at("space").at("result_bytes"), before);
}

}  // namespace
}  // namespace winnow::test
