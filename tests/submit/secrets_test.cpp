// What the environment holds and winnow has no use for is in no file that it writes, and in nothing that it says.
#include <cstdlib>
#include <iterator>
#include <map>

#include "experiments/results/layout.h"
#include "experiments/results/trial_file.h"
#include "tests/submit/fake_slurm.h"
#include "tests/training/leave_checkpoint.h"
#include "tests/training/run_fixture.h"
#include "tests/tree_state.h"

namespace winnow::test {
namespace {

namespace fs = std::filesystem;

// Variables of this process until the end of a test.
class Environment {
 public:
  explicit Environment(std::map<std::string, std::string> variables) : variables_(std::move(variables)) {
    for (const auto& [name, value] : variables_) ::setenv(name.c_str(), value.c_str(), 1);
  }
  ~Environment() {
    for (const auto& [name, value] : variables_) ::unsetenv(name.c_str());
  }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  std::map<std::string, std::string> variables_;
};

class Secrets : public RunFixture {
 protected:
  Secrets() : RunFixture("  - replicate: 2\n") {}
  FakeSlurm slurm_;
};

TEST_F(Secrets, OfTheEnvironmentAreInNoFileAndInNoWord) {
  const std::string secret = "s3cr3t-9f2c71d0", noted = "noted-5b1e44aa";
  const Environment environment({{"WINNOW_TEST_SECRET_TOKEN", secret},
                                 {"AWS_SECRET_ACCESS_KEY", secret},
                                 {"GITHUB_TOKEN", secret},
                                 {"SLURM_JWT", secret},
                                 {"SBATCH_COMMENT", secret},
                                 {"https_proxy", "http://user:" + secret + "@localhost:1"},
                                 {"NCCL_WINNOW_TEST", noted}});
  std::string said;
  const auto take = [&](const RunSaid& one) {
    EXPECT_EQ(one.code, 0) << one.err;
    said += one.out + one.err;
  };
  take(winnow({"submit", "--ask-every", "0", "--time", "01:00:00", "--shards", "2"}));
  take(winnow({"run"}));
  std::ostringstream text, errors;
  for (const char* verb : {"collect", "report", "status"}) {
    EXPECT_EQ(run_command_line(std::vector<std::string>{verb, out().string()}, text, errors), 0) << errors.str();
  }
  said += text.str() + errors.str();
  TrialSpec stopped = trials()[0];
  stopped.replicate = 7;
  leave_checkpoint(files_, out(), stopped);
  ASSERT_TRUE(files_.exists(Layout(out()).checkpoints(stopped.name()) / "00000001.ck"));

  EXPECT_EQ(said.find(secret), std::string::npos) << said;
  std::size_t looked_at = 0, with_noted = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder_)) {
    if (!entry.is_regular_file()) continue;
    const std::string content = content_of(entry.path());
    EXPECT_EQ(content.find(secret), std::string::npos) << entry.path();
    with_noted += content.find(noted) != std::string::npos ? 1 : 0;
    ++looked_at;
  }
  EXPECT_GE(looked_at, 12u);
  // Its texts lie there as they are, so that the search finds what there is.
  EXPECT_EQ(with_noted, 2u) << "one for each result";
  const TrialResult result = read_trial(Layout(out()).trial(trials()[0].name()));
  EXPECT_EQ(result.provenance.at("env.NCCL_WINNOW_TEST"), noted);
  for (const auto& [name, value] : result.provenance) EXPECT_EQ(value.find(secret), std::string::npos) << name;
}

}  // namespace
}  // namespace winnow::test
