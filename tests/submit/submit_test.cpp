// `winnow submit`, `reconcile` and `cancel`: nothing is submitted twice, whatever becomes of an answer.
#include "tests/submit/submit_fixture.h"

namespace winnow::test {
namespace {

class Submit : public SubmitFixture {};

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
