// What `winnow submit` writes into scripts, checks in options, and says of limits before anything is submitted.
#include <cstdio>
#include <regex>

#include "tests/submit/submit_fixture.h"

namespace winnow::test {
namespace {

class SubmitScript : public SubmitFixture {};

TEST_F(SubmitScript, MoreShardsThanAnArrayMayHaveBecomeSeveralWithAnOffset) {
  slurm_.set("max_array_size", "5");
  ASSERT_EQ(submit({"--shards", "12", "--at-once", "6"}).code, 0);
  const auto all = records();
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[2].offset, 10);
  EXPECT_NE(script(1).find("#SBATCH --array=0-4%2\n"), std::string::npos) << script(1);
  EXPECT_NE(script(3).find("SHARD=$((SLURM_ARRAY_TASK_ID + 10))"), std::string::npos) << script(3);
  EXPECT_EQ(submitted().size(), 12u);
  slurm_.all_become("COMPLETED");
  ASSERT_EQ(submit({"--shards", "12", "--array-limit", "4"}).code, 0);
  EXPECT_EQ(records().size(), 6u) << "a limit of the site's own is 4 of them";
}

TEST_F(SubmitScript, NoMoreJobsThanSlurmTakesAreSubmittedAndTheRestIsSaid) {
  slurm_.set("max_submit", "5");
  const RunSaid said = submit({"--shards", "8"});
  ASSERT_EQ(said.code, 0) << said.err;
  EXPECT_EQ(slurm_.tasks(), 5u);
  EXPECT_NE(said.out.find("5 of 8 shards are submitted"), std::string::npos) << said.out;
  EXPECT_EQ(submit().code, 69);
  slurm_.all_become("COMPLETED");
  ASSERT_EQ(submit({"--shards", "8"}).code, 0);
  EXPECT_EQ(slurm_.tasks(), 10u);
}

TEST_F(SubmitScript, ThatAPartitionCancelsWhatIsPreemptedIsSaid) {
  slurm_.set("partitions",
             "PartitionName=day AllowGroups=ALL Default=YES GraceTime=0 PreemptMode=REQUEUE State=UP\n"
             "PartitionName=idle AllowGroups=ALL Default=NO GraceTime=0 PreemptMode=CANCEL State=UP\n"
             "PartitionName=kind AllowGroups=ALL Default=NO GraceTime=60 PreemptMode=CANCEL State=UP\n");
  const auto is_said = [&](const std::vector<std::string>& options) {
    std::vector<std::string> args = {"--print"};
    args.insert(args.end(), options.begin(), options.end());
    const RunSaid said = submit(args);
    EXPECT_EQ(said.code, 0) << said.err;
    return said.has("note what is preempted there is cancelled at once");
  };
  EXPECT_TRUE(is_said({"--partition", "idle"}));
  EXPECT_TRUE(is_said({"--partition", "day,idle"}));
  EXPECT_FALSE(is_said({"--partition", "kind"})) << "in its time of grace a task requeues itself";
  EXPECT_FALSE(is_said({"--partition", "id"}));
  EXPECT_FALSE(is_said({}));
  slurm_.set("partitions", "PartitionName=idle AllowGroups=ALL Default=YES GraceTime=0 PreemptMode=CANCEL State=UP\n");
  EXPECT_TRUE(is_said({}));
  slurm_.forget("partitions");
  EXPECT_FALSE(is_said({}));
}

TEST_F(SubmitScript, AMistakeInTheSweepIsSaidBeforeAnythingIsWrittenOrSubmitted) {
  const RunSaid said = submit({"--set", "train.learning_rate=0.1"});
  EXPECT_EQ(said.code, 65);
  EXPECT_TRUE(said.has("unknown key 'train.learning_rate'")) << said.err;
  EXPECT_EQ(submit({"--ranks-per-trial", "4"}).code, 78) << "a job of one task";
  EXPECT_EQ(slurm_.tasks(), 0u);
  EXPECT_FALSE(std::filesystem::exists(out()));
}

TEST_F(SubmitScript, PrintShowsTheScriptAndWritesAndSubmitsNothing) {
  const RunSaid said = submit({"--print", "--shards", "2", "--set", "train.lr=0.02"});
  ASSERT_EQ(said.code, 0) << said.err;
  EXPECT_TRUE(said.out.starts_with("#!/bin/bash\n#SBATCH --job-name=s-")) << said.out;
  EXPECT_NE(said.out.find("srun --mpi=pmix --kill-on-bad-exit=1 "), std::string::npos) << said.out;
  EXPECT_NE(said.out.find("--set train.lr=0.02"), std::string::npos) << said.out;
  EXPECT_TRUE(said.has("12 to train in 2 shards of 2")) << said.err;
  EXPECT_EQ(slurm_.tasks(), 0u);
  EXPECT_FALSE(std::filesystem::exists(out()));
  slurm_.set("mpi", "pmi2");
  EXPECT_NE(submit({"--print"}).out.find("\n  mpirun --bind-to none "), std::string::npos);
  EXPECT_EQ(submit({"--print", "--launch", "none"}).out.find("\n  mpirun "), std::string::npos);
}

// What a command of the shell says.
std::string said_by_shell(const std::string& command) {
  std::FILE* pipe = popen(command.c_str(), "r");
  std::string words;
  char part[4096];
  while (const std::size_t size = std::fread(part, 1, sizeof part, pipe)) words.append(part, size);
  EXPECT_EQ(pclose(pipe), 0) << command << words;
  return words;
}

TEST_F(SubmitScript, NamesFromUsersReachBashAsOneWordAndStartNothing) {
  const std::string evil = "s$(touch sprung)`touch sprung`;touch sprung \"' %&.yaml";
  std::filesystem::rename(sweep_, folder_ / evil);
  const std::string place = "o ut'$(touch sprung)%";
  std::ostringstream text, errors;
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(folder_);
  const int code = run_command_line(std::vector<std::string>{"submit", evil, "-o", place, "--time", "10", "--notice",
                                                             "60", "--print", "--launch", "none"},
                                    text, errors);
  std::filesystem::current_path(before);
  ASSERT_EQ(code, 0) << errors.str();
  const std::string said = text.str();
  EXPECT_NE(said.find("#SBATCH --output=\"o ut'$(touch sprung)%%/slurm/logs/%A_%a.out\"\n"), std::string::npos) << said;
  // The lines that hold names, with a program that shows its words.
  const auto line_from = [&](const char* words) {
    const std::size_t at = said.find(words);
    return said.substr(at, said.find('\n', at) - at);
  };
  std::string command = line_from(" run ");
  command.resize(command.rfind(" &"));
  write("shown.sh", line_from("LOGS=") + "\nSHARD=0\nprintf '<%s>\\n' \"$LOGS\"" + command + "\n");
  const std::string words = said_by_shell("cd '" + folder_.string() + "' && bash shown.sh");
  EXPECT_TRUE(
      words.starts_with("<" + place + "/slurm/logs>\n<run>\n<" + evil + ">\n<-o>\n<" + place + ">\n<--shard>\n<0/1>\n"))
      << words;
  EXPECT_FALSE(std::filesystem::exists(folder_ / "sprung"));
}

TEST_F(SubmitScript, NoOptionEndsALineOfTheScriptOrChangesWhatItStandsOn) {
  EXPECT_EQ(submit({"--print", "--partition", "a\n#SBATCH --wrap=x"}).code, 65);
  EXPECT_EQ(submit({"--print", "--sbatch=--array=0-9"}).code, 65);
  EXPECT_EQ(submit({"--print", "--sbatch=--qos=a\n--hold"}).code, 65);
}

TEST_F(SubmitScript, OptionsOfARunAreCheckedBeforeAnyJobHasThem) {
  EXPECT_NE(submit({"--print", "--run=--threads=2", "--run=--no-retry"}).out.find(" --threads=2 --no-retry --shard "),
            std::string::npos);
  EXPECT_EQ(submit({"--print", "--run=--thraeds=2"}).code, 64);
  EXPECT_EQ(submit({"--print", "--run=x"}).code, 64);
  EXPECT_EQ(submit({"--print", "--run=--set=train.lr=1"}).code, 64)
      << "the jobs would train other trials than were planned";
  for (const char* own : {"--run=--shard=0/2", "--run=--deal=mine", "--run=--help"}) {
    EXPECT_EQ(submit({"--print", own}).code, 64) << own;
  }
  for (const char* own : {"--sbatch=--clusters=other", "--sbatch=--qos=long --time=1"}) {
    EXPECT_EQ(submit({"--print", own}).code, 65) << own;
  }
}

// A user's own filter would make a job at work look like one that is over.
TEST_F(SubmitScript, FiltersOfTheUserHideNoJob) {
  ASSERT_EQ(submit({"--shards", "4"}).code, 0);
  ::setenv("SQUEUE_PARTITION", "other", 1);
  const RunSaid again = submit();
  ::unsetenv("SQUEUE_PARTITION");
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(slurm_.tasks(), 4u) << again.out;
}

TEST_F(SubmitScript, TheProfilesThatComeWithWinnowMakeTheScriptsTheySay) {
  const auto folder = std::filesystem::path(WINNOW_SOURCE_DIR) / "slurm";
  std::size_t profiles = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    profiles += entry.path().extension() == ".yaml" ? 1 : 0;
  struct Profile {
    const char* name;
    std::vector<std::string> options, lines;
  };
  const std::vector<Profile> known = {
      {"site.yaml",
       {},
       {"#SBATCH --partition=gpu\n", "#SBATCH --gpus-per-node=4\n", "#SBATCH --exclude=node13,node[20-22]\n",
        "#SBATCH --signal=B:USR2@300\n", "\nmodule load openmpi cuda\n",
        "\n  srun --mpi=pmix --kill-on-bad-exit=1 --gpu-bind=none "}},
      {"one-trial-per-task.yaml",
       {"--shards", "1000"},
       {"#SBATCH --array=0-11%50\n", "--shard \"$SHARD/1000\" --deal "}},
      {"data-parallel.yaml", {"--ranks-per-trial", "8"}, {"#SBATCH --nodes=2\n", "--ranks-per-trial 8 --shard "}}};
  ASSERT_EQ(profiles, known.size());
  for (const Profile& profile : known) {
    std::vector<std::string> args = {"submit", "--print", "--site", (folder / profile.name).string()};
    args.insert(args.end(), profile.options.begin(), profile.options.end());
    const RunSaid said = winnow(args);
    ASSERT_EQ(said.code, 0) << said.err;
    for (const std::string& line : profile.lines) {
      EXPECT_NE(said.out.find(line), std::string::npos) << profile.name << line << said.out;
    }
    said_by_shell("bash -n '" + write("script.sh", said.out).string() + "' 2>&1");
  }
}

TEST_F(SubmitScript, VariablesThatWouldWinOverTheScriptAreNotInherited) {
  ::setenv("SBATCH_JOB_NAME", "other", 1);
  ::setenv("SBATCH_QOS", "long", 1);
  EXPECT_EQ(submit({"--shards", "1"}).code, 0);
  ::unsetenv("SBATCH_JOB_NAME");
  ::unsetenv("SBATCH_QOS");
  EXPECT_EQ(slurm_.lines("inherited"), std::vector<std::string>{"SBATCH_QOS"});
}

TEST_F(SubmitScript, ATrialThatCannotFinishWithinTheLimitIsSaidWithTheJobsItWillTake) {
  const RunSaid said = submit({"--print", "--set", "train.epochs=4000000", "--time", "10", "--notice", "60"});
  ASSERT_EQ(said.code, 0) << said.err;
  EXPECT_TRUE(std::regex_search(said.err,
                                std::regex("12 trials cannot finish within the limit of 10: lenet300/dense takes about "
                                           "[^:]*: it spans [0-9]+ jobs")))
      << said.err;
}

}  // namespace
}  // namespace winnow::test
