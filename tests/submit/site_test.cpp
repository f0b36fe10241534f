// Profiles of sites: what is wrong in one is said with its place, and those that come with winnow make the scripts they say.
#include "experiments/submit/site.h"

#include <gtest/gtest.h>

#include <fstream>

#include "core/error.h"
#include "experiments/submit/batch_script.h"
#include "experiments/submit/job_time.h"
#include "tests/temporary_folder.h"

namespace winnow::test {
namespace {

class Sites : public testing::Test {
 protected:
  std::string problem(const std::string& text,
                      const std::vector<std::pair<std::string, std::string>>& given = {}) const {
    const auto path = folder_.path() / "site.yaml";
    std::ofstream(path) << text;
    try {
      read_site(path, given);
    } catch (const Error& error) {
      std::string said = error.what();
      const std::string prefix = folder_.path().string() + "/";
      for (std::size_t at; (at = said.find(prefix)) != std::string::npos;) said.erase(at, prefix.size());
      return said.substr(0, said.find('\n'));
    }
    return "";
  }
  TemporaryFolder folder_;
};

TEST_F(Sites, AMistakeIsSaidWithItsPlace) {
  EXPECT_EQ(problem("time: 01:00:00\n"), "");
  EXPECT_EQ(problem("time: 01:00:00\npartitoin: gpu\n"), "site.yaml:2:1: error: unknown key 'partitoin'");
  EXPECT_EQ(problem("time: 01:00:00\nnodes: many\n"), "site.yaml:2:8: error: 'nodes' must be an integer, is many");
  EXPECT_EQ(problem("time: 01:00:00\nlaunch: ssh\n"),
            "site.yaml:2:9: error: 'launch' must be one of auto, srun, mpirun, none, is ssh");
  EXPECT_EQ(problem("time: tomorrow\n"),
            "site.yaml:1:7: error: 'time' must be a time limit of Slurm, as 90, 04:00:00 or 1-12:00:00, is 'tomorrow'");
  EXPECT_EQ(problem("time: 01:00:00\nsbatch: [--array=0-9]\n"),
            "site.yaml:2:10: error: '--array' is set by winnow submit itself");
  for (const auto& [line, own] :
       std::vector<std::pair<std::string, std::string>>{{"--arra=0-99", "--array"},
                                                        {"--comment=x \"--array=0-9\"", "--array"},
                                                        {"--comment=x\t--ti=5", "--time"},
                                                        {"--qos=a --\"out\"put=x", "--output"}}) {
    const std::string said = problem("time: 01:00:00\n", {{"sbatch", line}});
    EXPECT_NE(said.find("'" + own + "' is set by winnow submit itself"), std::string::npos) << said;
  }
  EXPECT_NE(problem("time: 01:00:00\n", {{"sbatch", "--comment=x -a0-99"}}).find("by their long names"),
            std::string::npos);
  EXPECT_EQ(problem("time: 2-00\nnotice: 65536\n"),
            "site.yaml:2:9: error: 'notice' is 65536 s, Slurm takes 65535 at most");
  EXPECT_EQ(problem("time: 4\nnotice: 240\n"),
            "site.yaml:2:9: error: 'notice' is 240 s and Slurm may say so 60 s earlier, so no time is left of a limit "
            "of 4: that "
            "must be longer than 300 s, or the notice shorter");
  EXPECT_EQ(problem("time: 5\nnotice: 240\n").substr(0, 41), "site.yaml:2:9: error: 'notice' is 240 s a")
      << "60 s left";
  EXPECT_EQ(problem("time: 5:01\nnotice: 240\n"), "");
  EXPECT_EQ(problem("time: 6\n").substr(0, 41), "site.yaml:1:7: error: 'notice' is 300 s a") << "that of no profile";
  EXPECT_EQ(problem("setup: module load x\n"), "site.yaml:1:8: error: 'setup' is a list of lines");
  EXPECT_EQ(problem("- a\n"), "site.yaml:1:1: error: a site profile is a map of settings");
  EXPECT_EQ(problem("time: 01:00:00\n", {{"nodes", "0"}}).substr(0, 18), "--nodes 0: error: ");
  EXPECT_EQ(problem("").substr(0, 17), "which time limit?");
  EXPECT_EQ(problem("time: 01:00:00\naccount: \"a\\nb\"\n"), "site.yaml:2:10: error: 'account' must be one line");
}

TEST_F(Sites, OptionsWinOverTheFile) {
  const auto path = folder_.path() / "site.yaml";
  std::ofstream(path) << "time: 01:00:00\npartition: slow\nsbatch: [--qos=low]\n";
  const Site site = read_site(path, {{"partition", "fast"}, {"sbatch", "--constraint=a100"}});
  EXPECT_EQ(site.partition, "fast");
  EXPECT_EQ(site.time_seconds, 3600);
  EXPECT_EQ(site.sbatch, (std::vector<std::string>{"--qos=low", "--constraint=a100"}));
}

TEST_F(Sites, TimeLimitsAreReadAsSlurmReadsThem) {
  const std::pair<const char*, std::int64_t> right[] = {{"90", 5400},     {"90:30", 5430},     {"01:30:00", 5400},
                                                        {"1-12", 129600}, {"1-12:30", 131400}, {"1-12:30:30", 131430}};
  for (const auto& [text, seconds] : right) EXPECT_EQ(seconds_of_limit(text), seconds) << text;
  for (const char* wrong : {"", "0", "-5", "1:", "1:2:3:4", "x", "1h", "1-", "1-2-3", "00:00"}) {
    EXPECT_FALSE(seconds_of_limit(wrong)) << wrong;
  }
}

TEST_F(Sites, AWordIsQuotedForSbatch) {
  Site site;
  site.time = "1";
  site.account = "a b\"c\\";
  const std::string script =
      batch_script(site, {.name = "n", .logs = "l", .offset = 0, .array = "0", .launch = "", .command = "c"});
  EXPECT_NE(script.find("#SBATCH --account=\"a b\\\"c\\\\\"\n"), std::string::npos) << script;
  EXPECT_NE(script.find("#SBATCH --nodes=1\n#SBATCH --ntasks-per-node=1\n"), std::string::npos);
  EXPECT_EQ(script.find("@NAME@"), std::string::npos);
}

TEST_F(Sites, SeveralProcessesNeedALauncher) {
  Site site;
  site.launch = "none";
  EXPECT_EQ(launch_words(site, true), "");
  site.tasks_per_node = 2;
  EXPECT_THROW(launch_words(site, true), Error);
  site.launch = "auto";
  EXPECT_EQ(launch_words(site, false), "mpirun --bind-to none");
  site.gpus_per_node = 2;
  site.cpus_per_task = 4;
  EXPECT_EQ(launch_words(site, true), "srun --mpi=pmix --kill-on-bad-exit=1 --gpu-bind=none --cpus-per-task=4");
}

TEST_F(Sites, ShardsFillHalfOfTheTimeAndNoMoreThanThereAreTrials) {
  Site site;
  site.time = "02:00:00";
  site.time_seconds = 7200;
  std::vector<ExpectedTrial> left(100, {.label = "t", .seconds = 600, .shard = 0});
  EXPECT_EQ(JobTime(site, 1).good_shards(left), 17) << "60,000 s in parts of an hour";
  site.tasks_per_node = 4;
  EXPECT_EQ(JobTime(site, 1).good_shards(left), 5);
  EXPECT_EQ(JobTime(site, 4).good_shards(left), 17);
  site.at_once = 20;
  EXPECT_EQ(JobTime(site, 1).good_shards(left), 25) << "4 of 100 at a time";
  EXPECT_THROW(JobTime(site, 5), Error);
  left = {{.label = "long", .seconds = 20000, .shard = 0}};
  ASSERT_EQ(JobTime(site, 1).warnings(left, 1).size(), 1u);
  EXPECT_NE(JobTime(site, 1).warnings(left, 1)[0].find("it spans 3 jobs"), std::string::npos);
}

}  // namespace
}  // namespace winnow::test
