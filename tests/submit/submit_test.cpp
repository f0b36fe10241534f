// `winnow submit`, `reconcile` and `cancel` as a user types them, with a Slurm of small scripts: nothing is submitted twice,
// whatever becomes of an answer.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>

#include "experiments/submit/known_jobs.h"
#include "experiments/submit/submission.h"
#include "tests/submit/fake_slurm.h"
#include "tests/training/run_fixture.h"

namespace winnow::test {
namespace {

class Submit : public RunFixture {
 protected:
  Submit() : RunFixture("  - replicate: 12\n") {}
  RunSaid submit(std::vector<std::string> more = {}) const {
    std::vector<std::string> args = {"submit", "--ask-every", "0"};
    if (std::ranges::find(more, "--time") == more.end()) more.insert(more.end(), {"--time", "01:00:00"});
    args.insert(args.end(), more.begin(), more.end());
    return winnow(args);
  }
  // A verb of the folder of results.
  RunSaid ask(std::vector<std::string> args) const {
    args.insert(args.begin() + 1, out().string());
    std::ostringstream text, errors;
    const int code = run_command_line(args, text, errors);
    // The next question need not wait for this one.
    std::filesystem::remove(out() / "slurm/asked");
    return {code, text.str(), errors.str()};
  }
  std::vector<Submission> records() const { return read_submissions(files_, out()); }
  std::string script(int number) const {
    std::ifstream file(script_of(out(), number));
    return std::string((std::istreambuf_iterator<char>(file)), {});
  }
  // Shards by how often they are in the queue.
  std::map<std::string, int> submitted() const {
    std::map<std::string, int> count;
    for (const Submission& one : records()) {
      for (const std::string& line : slurm_.lines("jobs")) {
        if (line.ends_with("|" + one.job_name)) {
          const std::size_t at = line.find('|') + 1;
          ++count[fmt::format("{}/{}", one.shard(std::stoi(line.substr(at))), one.shards)];
        }
      }
    }
    return count;
  }
  // As if minutes had passed: what is uncertain is no longer on its way.
  void make_old() const {
    for (const auto& entry : std::filesystem::directory_iterator(out() / "slurm")) {
      if (!entry.path().string().ends_with(".intent.json")) continue;
      auto json = nlohmann::ordered_json::parse(text_of(files_.read(entry.path())));
      json["created"] = json["created"].get<std::int64_t>() - kArrival;
      files_.replace(entry.path(), json.dump());
    }
  }

  FakeSlurm slurm_;
};

TEST_F(Submit, SubmitsEveryShardOnceAndSaysWhatToDoNext) {
  const RunSaid said = submit({"--shards", "4"});
  ASSERT_EQ(said.code, 0) << said.err;
  EXPECT_EQ(slurm_.tasks(), 4u);
  EXPECT_NE(said.out.find("job 101  shards 0-3"), std::string::npos) << said.out;
  EXPECT_NE(said.out.find("next   winnow status"), std::string::npos);
  const auto all = records();
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].state, Submission::State::Submitted);
  EXPECT_EQ(all[0].job, 101);
  EXPECT_NE(script(1).find("#SBATCH --job-name=" + all[0].job_name + "\n"), std::string::npos) << script(1);
  EXPECT_NE(script(1).find(" --shard \"$SHARD/4\" --deal " + all[0].deal + " &\n"), std::string::npos) << script(1);
  EXPECT_EQ(ask({"status"}).code, 0) << "the plan is there before the first job starts";
}

TEST_F(Submit, APartThatIsAtWorkIsNotSubmittedAgainAndWhatEndedIs) {
  ASSERT_EQ(submit({"--shards", "4"}).code, 0);
  const RunSaid again = submit();
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_NE(again.out.find("nothing to submit"), std::string::npos) << again.out;
  EXPECT_NE(again.out.find("job 101 is at work on s: shards 0-3"), std::string::npos) << again.out;
  const RunSaid other = submit({"--shards", "3"});
  EXPECT_EQ(other.code, 64) << "the same trials in other shards would be trained twice";
  EXPECT_EQ(slurm_.tasks(), 4u);

  // Two of them end without having trained all.
  slurm_.set("jobs", "");
  const std::string name = records()[0].job_name;
  slurm_.set("jobs", "101|0|RUNNING|" + name + "\n101|2|FAILED|" + name + "\n101|3|PENDING|" + name + "\n");
  ASSERT_EQ(submit().code, 0);
  EXPECT_EQ(records().back().indices, (std::vector{1, 2}));
  EXPECT_EQ(records().back().shards, 4);
}

TEST_F(Submit, AfterAllHaveEndedWhatIsMissingIsDealtOutAnewAndAllDoneIsSaid) {
  ASSERT_EQ(submit({"--shards", "4"}).code, 0);
  slurm_.all_become("COMPLETED");
  ASSERT_EQ(winnow({"run", "--workers", "1", "--threads", "1", "--shard", "0/4", "-q"}).code, 0);
  ASSERT_EQ(submit({"--shards", "3"}).code, 0);
  EXPECT_EQ(records().back().shards, 3);
  EXPECT_EQ(records().back().indices, (std::vector{0, 1, 2}));
  slurm_.all_become("COMPLETED");
  ASSERT_EQ(winnow({"run", "--workers", "1", "--threads", "1", "-q"}).code, 0);
  const std::size_t before = slurm_.tasks();
  const RunSaid said = submit();
  EXPECT_EQ(said.code, 0);
  EXPECT_NE(said.out.find("all 12 trials have results"), std::string::npos) << said.out;
  EXPECT_EQ(slurm_.tasks(), before);
}

TEST_F(Submit, WhileJobsAreAtWorkTheirDealHoldsAndThenWhatIsMissingIsDealtOutAnew) {
  ASSERT_EQ(submit({"--shards", "4"}).code, 0);
  const Submission first = records()[0];
  ASSERT_EQ(
      winnow({"run", "--workers", "1", "--threads", "1", "--shard", "1/4", "--deal", first.deal.c_str(), "-q"}).code,
      0);
  slurm_.set("jobs", "101|0|RUNNING|" + first.job_name + "\n");
  ASSERT_EQ(submit().code, 0);
  EXPECT_EQ(records().back().indices, (std::vector{2, 3})) << "all of shard 1 has results";
  EXPECT_EQ(records().back().deal, first.deal);
  slurm_.all_become("COMPLETED");
  ASSERT_EQ(submit({"--shards", "4"}).code, 0);
  EXPECT_EQ(records().back().indices, (std::vector{0, 1, 2, 3}));
  EXPECT_NE(records().back().deal, first.deal);
}

TEST_F(Submit, ALostAnswerIsLookedUpAndWhereThatFailsItIsUncertainAndSettledLater) {
  for (const char* how : {"lost", "broken"}) {
    slurm_.set("answer", how);
    ASSERT_EQ(submit({"--shards", "2"}).code, 0) << how << ": it is found by its name";
    EXPECT_EQ(records().back().state, Submission::State::Submitted);
    slurm_.all_become("CANCELLED");
  }
  const std::size_t before = slurm_.tasks();
  slurm_.set("blind", "");
  const RunSaid lost = submit({"--shards", "2"});
  EXPECT_EQ(lost.code, 69) << lost.err;
  EXPECT_TRUE(lost.has("is uncertain")) << lost.err;
  EXPECT_TRUE(lost.has("Socket timed out")) << lost.err;
  EXPECT_EQ(slurm_.tasks(), before + 2);
  slurm_.forget("answer");
  const RunSaid refused = submit({"--shards", "2"});
  EXPECT_EQ(refused.code, 69);
  EXPECT_TRUE(refused.has("winnow reconcile")) << refused.err;
  EXPECT_EQ(slurm_.tasks(), before + 2) << "nothing is submitted beside an uncertain submission";
  EXPECT_EQ(ask({"reconcile"}).code, 69) << "Slurm may still be about to take it";
  slurm_.forget("blind");
  const RunSaid settled = ask({"reconcile"});
  EXPECT_EQ(settled.code, 0) << settled.out;
  EXPECT_NE(settled.out.find("job 103: 2 waiting, 0 running, 0 over"), std::string::npos) << settled.out;
  EXPECT_NE(submit().out.find("nothing to submit"), std::string::npos);
}

TEST_F(Submit, WhatSlurmNeverHadIsGivenUpOnlyWhenItCannotBeOnItsWay) {
  slurm_.set("answer", "never");
  ASSERT_EQ(submit({"--shards", "2"}).code, 69);
  const RunSaid early = ask({"reconcile"});
  EXPECT_EQ(early.code, 69);
  EXPECT_NE(early.out.find("ask again in"), std::string::npos) << early.out;
  make_old();
  EXPECT_EQ(ask({"reconcile"}).code, 0);
  EXPECT_EQ(records()[0].state, Submission::State::Absent);
  slurm_.forget("answer");
  ASSERT_EQ(submit({"--shards", "2"}).code, 0);
  EXPECT_EQ(slurm_.tasks(), 2u);
}

TEST_F(Submit, WhatIsOverAndOutOfTheQueueIsFoundInTheAccounts) {
  slurm_.set("answer", "lost");
  slurm_.set("blind", "");
  ASSERT_EQ(submit({"--shards", "2"}).code, 69);
  slurm_.set("accounts",
             fmt::format("101_0|COMPLETED|n1|{0}\n101_1|CANCELLED by 0|None assigned|{0}\n", records()[0].job_name));
  EXPECT_EQ(ask({"reconcile"}).code, 0);
  EXPECT_EQ(records()[0].job, 101);
}

TEST_F(Submit, KeepsAwayFromNodesThatWereLostUnderItsJobsUnlessTheyAreMany) {
  ASSERT_EQ(submit({"--shards", "3"}).code, 0);
  slurm_.all_become("COMPLETED");
  const std::string name = records()[0].job_name;
  const auto task = [](int index, const char* state, const std::string& nodes, const std::string& job) {
    return fmt::format("101_{}|{}|{}|{}\n", index, state, nodes, job);
  };
  const std::string lost = task(0, "NODE_FAIL", "n07", name) + task(0, "NODE_FAIL", "n07", name) +
                           task(1, "NODE_FAIL", "n[02-03]", name) + task(1, "NODE_FAIL", "n[02-03]", name) +
                           task(2, "NODE_FAIL", "n05", "another") + task(2, "NODE_FAIL", "n05", "another") +
                           task(2, "NODE_FAIL", "n06", name) + task(2, "FAILED", "n04", name);
  slurm_.set("accounts", lost);
  const RunSaid said = submit({"--shards", "3", "--exclude", "n01"});
  ASSERT_EQ(said.code, 0) << said.err;
  EXPECT_NE(script(2).find("#SBATCH --exclude=n01,n07\n"), std::string::npos) << script(2);
  EXPECT_NE(said.out.find("left out, since lost again and again under jobs of this folder: n07 (2 tasks)"),
            std::string::npos)
      << said.out;
  slurm_.all_become("COMPLETED");
  ASSERT_EQ(submit({"--shards", "3", "--exclude-failed", "no"}).code, 0);
  EXPECT_EQ(script(3).find("--exclude"), std::string::npos) << script(3);
  slurm_.all_become("COMPLETED");
  std::string outage = lost;
  for (const char* node : {"n08", "n09", "n10", "n11"})
    outage += task(1, "NODE_FAIL", node, name) + task(2, "NODE_FAIL", node, name);
  slurm_.set("accounts", outage);
  const RunSaid many = submit({"--shards", "3"});
  EXPECT_NE(many.out.find("5 nodes were lost again and again under jobs of this folder"), std::string::npos)
      << many.out;
  EXPECT_EQ(script(4).find("--exclude"), std::string::npos) << script(4);
}

TEST_F(Submit, ARefusalIsSaidInSlurmsWordsAndMayBeTriedAgain) {
  slurm_.set("answer", "refused");
  const RunSaid said = submit({"--shards", "2", "--partition", "nowhere"});
  EXPECT_EQ(said.code, 78);
  EXPECT_TRUE(
      said.has("sbatch refuses shards 0-1: sbatch: error: invalid partition specified: nowhere; nothing is submitted"))
      << said.err;
  slurm_.forget("answer");
  EXPECT_EQ(submit({"--shards", "2"}).code, 0);
  EXPECT_EQ(slurm_.tasks(), 2u);
}

TEST_F(Submit, WhatIsRefusedLeavesNoDealBehind) {
  const auto deals = [this] { return files_.list(out() / "shards"); };
  slurm_.set("max_submit", "2");
  slurm_.set("jobs", "7|0|RUNNING|other\n7|1|PENDING|other\n");
  EXPECT_EQ(submit({"--shards", "4"}).code, 69) << "Slurm takes no more";
  EXPECT_TRUE(deals().empty());
  slurm_.forget("max_submit");
  EXPECT_EQ(submit({"--shards", "4", "--launch", "none", "--nodes", "2"}).code, 78);
  EXPECT_TRUE(deals().empty());
  EXPECT_EQ(submit({"--shards", "4", "--exclude", "a\nb"}).code, 65) << "no line of a script";
  EXPECT_TRUE(deals().empty());
  EXPECT_FALSE(std::filesystem::exists(out())) << "nor anything else";
  slurm_.set("answer", "refused");
  EXPECT_EQ(submit({"--shards", "4"}).code, 78);
  EXPECT_TRUE(deals().empty());
  slurm_.forget("answer");
  ASSERT_EQ(submit({"--shards", "4"}).code, 0);
  EXPECT_EQ(deals().size(), 1u) << "by which the jobs go";
}

// The same folder, and results of both.
TEST_F(Submit, JobsOfAnotherUserAreAtWorkAsOnesOwnAre) {
  ASSERT_EQ(submit({"--shards", "4"}).code, 0);
  const auto path = out() / "slurm/0001.intent.json";
  auto json = nlohmann::ordered_json::parse(text_of(files_.read(path)));
  EXPECT_EQ(json.at("user_id"), this_user().id);
  EXPECT_EQ(json.at("user"), this_user().name);
  const std::int64_t other = this_user().id + 1000;
  json["user_id"] = other;
  json["user"] = "ada";
  files_.replace(path, json.dump());
  slurm_.set("owner.101", std::to_string(other));
  const RunSaid again = submit();
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_NE(again.out.find("nothing to submit"), std::string::npos) << again.out;
  EXPECT_EQ(slurm_.tasks(), 4u);
  EXPECT_NE(ask({"cancel", "--yes"}).out.find("job 101  is of ada"), std::string::npos);
  EXPECT_TRUE(slurm_.lines("cancelled").empty());
  slurm_.set("private", "");
  const RunSaid hidden = submit();
  EXPECT_EQ(hidden.code, 69);
  EXPECT_TRUE(hidden.has("job 101 of user ada may still train these")) << hidden.err;
  EXPECT_EQ(slurm_.tasks(), 4u);
}

TEST_F(Submit, ARunClearsWhatAKilledSubmissionLeftHalfWritten) {
  ASSERT_EQ(submit({"--shards", "2"}).code, 0);
  const auto half = out() / "slurm" / ("0002.sbatch.tmp." + std::string(32, 'a'));
  std::ofstream(half) << "#!/bin/ba";
  std::filesystem::last_write_time(half, std::filesystem::file_time_type::clock::now() - std::chrono::hours(2));
  ASSERT_EQ(winnow({"run", "--workers", "1", "--threads", "1", "-q"}).code, 0);
  EXPECT_FALSE(std::filesystem::exists(half));
}

// Names of jobs are anybody's: one of two lines is no answer that cannot be read.
TEST_F(Submit, AJobWithALineBreakInItsNameKeepsNobodyFromSubmittingButAnAnswerCutShortDoes) {
  ASSERT_EQ(submit({"--shards", "2"}).code, 0);
  const auto path = out() / "slurm/0001.intent.json";
  auto json = nlohmann::ordered_json::parse(text_of(files_.read(path)));
  json["user_id"] = this_user().id + 1000;  // so that everybody's jobs are asked for
  files_.replace(path, json.dump());
  slurm_.set("odd", "");
  const RunSaid again = submit();
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_NE(again.out.find("nothing to submit"), std::string::npos) << again.out;
  slurm_.set("cut", "");
  EXPECT_TRUE(submit().has("what squeue says is cut short"));
}

TEST_F(Submit, ASlurmThatCannotBeAskedKeepsAllFromBeingSubmitted) {
  slurm_.set("away", "");
  const RunSaid said = submit();
  EXPECT_EQ(said.code, 69);
  EXPECT_TRUE(said.has("Slurm cannot be asked: squeue: slurm_load_jobs error")) << said.err;
  EXPECT_TRUE(records().empty());
}

TEST_F(Submit, MoreShardsThanAnArrayMayHaveBecomeSeveralWithAnOffset) {
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

TEST_F(Submit, NoMoreJobsThanSlurmTakesAreSubmittedAndTheRestIsSaid) {
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

TEST_F(Submit, AMistakeInTheSweepIsSaidBeforeAnythingIsWrittenOrSubmitted) {
  const RunSaid said = submit({"--set", "train.learning_rate=0.1"});
  EXPECT_EQ(said.code, 65);
  EXPECT_TRUE(said.has("unknown key 'train.learning_rate'")) << said.err;
  EXPECT_EQ(submit({"--ranks-per-trial", "4"}).code, 78) << "a job of one task";
  EXPECT_EQ(slurm_.tasks(), 0u);
  EXPECT_FALSE(std::filesystem::exists(out()));
}

TEST_F(Submit, PrintShowsTheScriptAndWritesAndSubmitsNothing) {
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

TEST_F(Submit, NamesFromUsersReachBashAsOneWordAndStartNothing) {
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

TEST_F(Submit, NoOptionEndsALineOfTheScriptOrChangesWhatItStandsOn) {
  EXPECT_EQ(submit({"--print", "--partition", "a\n#SBATCH --wrap=x"}).code, 65);
  EXPECT_EQ(submit({"--print", "--sbatch=--array=0-9"}).code, 65);
  EXPECT_EQ(submit({"--print", "--sbatch=--qos=a\n--hold"}).code, 65);
}

TEST_F(Submit, OptionsOfARunAreCheckedBeforeAnyJobHasThem) {
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
TEST_F(Submit, FiltersOfTheUserHideNoJob) {
  ASSERT_EQ(submit({"--shards", "4"}).code, 0);
  ::setenv("SQUEUE_PARTITION", "other", 1);
  const RunSaid again = submit();
  ::unsetenv("SQUEUE_PARTITION");
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(slurm_.tasks(), 4u) << again.out;
}

TEST_F(Submit, TheProfilesThatComeWithWinnowMakeTheScriptsTheySay) {
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

TEST_F(Submit, VariablesThatWouldWinOverTheScriptAreNotInherited) {
  ::setenv("SBATCH_JOB_NAME", "other", 1);
  ::setenv("SBATCH_QOS", "long", 1);
  EXPECT_EQ(submit({"--shards", "1"}).code, 0);
  ::unsetenv("SBATCH_JOB_NAME");
  ::unsetenv("SBATCH_QOS");
  EXPECT_EQ(slurm_.lines("inherited"), std::vector<std::string>{"SBATCH_QOS"});
}

TEST_F(Submit, ATrialThatCannotFinishWithinTheLimitIsSaidWithTheJobsItWillTake) {
  const RunSaid said = submit({"--print", "--set", "train.epochs=4000000", "--time", "10", "--notice", "60"});
  ASSERT_EQ(said.code, 0) << said.err;
  EXPECT_TRUE(std::regex_search(said.err,
                                std::regex("12 trials cannot finish within the limit of 10: lenet300/dense takes about "
                                           "[^:]*: it spans [0-9]+ jobs")))
      << said.err;
}

TEST_F(Submit, TheSameLimitAgainAfterATimeOutIsSaid) {
  ASSERT_EQ(submit({"--shards", "2"}).code, 0);
  slurm_.all_become("TIMEOUT");
  EXPECT_NE(submit({"--shards", "2"}).out.find("2 tasks of job 101 ended at the limit of 01:00:00"), std::string::npos);
  slurm_.all_become("TIMEOUT");
  const RunSaid longer = submit({"--shards", "2", "--time", "02:00:00"});
  EXPECT_EQ(longer.code, 0);
  EXPECT_EQ(longer.out.find("ended at the limit"), std::string::npos);
}

TEST_F(Submit, CancelEndsTheJobsOfTheFolderAndNoOthers) {
  ASSERT_EQ(submit({"--shards", "2"}).code, 0);
  const std::string own = records()[0].job_name;
  slurm_.set("jobs", "77|0|RUNNING|somebody\n101|0|RUNNING|" + own + "\n101|1|PENDING|" + own + "\n");
  EXPECT_NE(ask({"cancel", "-n"}).out.find("job 101"), std::string::npos);
  EXPECT_EQ(ask({"cancel"}).code, 64) << "nobody can be asked";
  EXPECT_TRUE(slurm_.lines("cancelled").empty());
  EXPECT_EQ(ask({"cancel", "--yes"}).code, 0);
  EXPECT_EQ(slurm_.lines("cancelled"), std::vector<std::string>{"101"});
  // Its number belongs to another job now.
  slurm_.set("jobs", "101|0|RUNNING|somebody\n");
  EXPECT_NE(ask({"cancel", "--yes"}).out.find("no job that waits or runs"), std::string::npos);
  EXPECT_EQ(slurm_.lines("cancelled").size(), 1u);
}

TEST_F(Submit, CancelFindsAJobWhoseAnswerWasLost) {
  slurm_.set("answer", "lost");
  slurm_.set("blind", "");
  ASSERT_EQ(submit({"--shards", "2"}).code, 69);
  slurm_.forget("blind");
  EXPECT_EQ(ask({"cancel", "--yes"}).code, 0);
  EXPECT_EQ(slurm_.lines("cancelled"), std::vector<std::string>{"101"});
}

TEST_F(Submit, ProgramsCanReadWhatTheseVerbsSay) {
  const auto parse = [](const RunSaid& said) { return nlohmann::json::parse(said.out); };
  auto json = parse(submit({"--shards", "2", "--json"}));
  EXPECT_EQ(json["schema"], "winnow-submit");
  EXPECT_EQ(json["submissions"][0]["job"], 101);
  EXPECT_EQ(json["submissions"][0]["shards"], "0-1");
  json = parse(submit({"--json"}));
  EXPECT_TRUE(json["submissions"].empty());
  json = parse(ask({"reconcile", "--json"}));
  EXPECT_EQ(json["submissions"][0]["tasks"].size(), 2u);
  json = parse(ask({"cancel", "--yes", "--json"}));
  EXPECT_EQ(json["cancelled"], true);
  EXPECT_EQ(json["jobs"], nlohmann::json::array({101}));
}

TEST_F(Submit, RecordsHoldNoAbsolutePath) {
  ASSERT_EQ(submit({"--shards", "2"}).code, 0);
  for (const char* name : {"0001.intent.json", "0001.answer.json"}) {
    const std::string text = text_of(files_.read(out() / "slurm" / name));
    EXPECT_EQ(text.find("\"/"), std::string::npos) << text;
    EXPECT_EQ(text.find(folder_.string()), std::string::npos) << text;
  }
}

TEST_F(Submit, ADamagedRecordStopsAllThatWouldGoByIt) {
  ASSERT_EQ(submit({"--shards", "2"}).code, 0);
  for (const char* text :
       {"", "{}", "{\"schema\":\"winnow-submission\",\"schema_version\":\"1.0\",\"number\":1,\"state\":\"?\"}"}) {
    for (const char* name : {"0001.intent.json", "0001.answer.json"}) {
      const auto path = out() / "slurm" / name;
      const std::string whole = text_of(files_.read(path));
      files_.replace(path, std::string_view(text));
      EXPECT_EQ(submit().code, 66) << name << text;
      EXPECT_EQ(ask({"reconcile"}).code, 66) << name << text;
      EXPECT_EQ(ask({"cancel", "--yes"}).code, 66) << name << text;
      files_.replace(path, whole);
    }
  }
}

}  // namespace
}  // namespace winnow::test
