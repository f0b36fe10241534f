// Jobs that are submitted together go by one deal of the trials, whenever each of them starts; those submitted later deal out
// anew what is left. A sweep that changed in between is refused, and not half trained.
#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "core/error.h"
#include "experiments/results/layout.h"
#include "experiments/run/shard_costs.h"
#include "tests/results/faulty_files.h"
#include "tests/training/run_fixture.h"

namespace winnow::test {
namespace {

class Deals : public RunFixture {
 protected:
  Deals() : RunFixture("  - replicate: 6\n") {}
  RunSaid run(const std::string& shard, const std::string& deal) const {
    return winnow({"run", "--shard", shard, "--deal", deal, "--workers", "1", "--threads", "1"});
  }
  std::string text(const std::string& deal) const {
    return text_of(files_.read(Layout(out()).shards() / ("deal-" + deal + ".tsv")));
  }
  void change(const std::string& from, const std::string& to) const {
    std::ifstream in(sweep_);
    std::string sweep(std::istreambuf_iterator<char>(in), {});
    const std::size_t at = sweep.find(from);
    ASSERT_NE(at, std::string::npos) << sweep;
    std::ofstream(sweep_) << sweep.replace(at, from.size(), to);
  }
};

TEST_F(Deals, LaterOnesDealOutWhatIsLeftAndAllJobsOfOneGoByTheSame) {
  ASSERT_EQ(run("0/3", "first").code, 0);
  const std::string first = text("first");
  const nlohmann::json planned =
      nlohmann::json::parse(winnow({"plan", "--shards", "2", "--deal", "again", "--json"}).out);
  EXPECT_EQ(planned.at("shards").at("dealt"), false);
  // Four of six are left: two for each, whoever has those that are done.
  ASSERT_TRUE(run("1/2", "again").has(" 1 already done, 2 trained"));
  const std::string again = text("again");
  EXPECT_EQ(planned.at("shards").at("parts").at(1).at("trials"), 3);
  EXPECT_TRUE(run("0/2", "again").has(" 1 already done, 2 trained"));
  EXPECT_EQ(text("again"), again) << "what was trained since changes no deal";
  EXPECT_EQ(text("first"), first);
  EXPECT_TRUE(run("1/3", "first").has(": 2 already done, 0 trained"));
}

TEST_F(Deals, OneThatChangedIsRefusedWithWhatChangedAndWhatToDo) {
  ASSERT_EQ(run("0/2", "mine").code, 0);
  change("epochs: 1", "epochs: 2");
  const RunSaid said = run("1/2", "mine");
  EXPECT_EQ(said.code, 65);
  EXPECT_TRUE(
      said.has("deal-mine.tsv: the sweep has changed since deal 'mine' was made (6 trials new, 6 gone: "
               "train.epochs was 1ep, is 2ep); submit it anew, which deals under a new name (--deal), or take the "
               "change back\n"))
      << said.err;
  EXPECT_EQ(run("1/2", "new").code, 0);
  EXPECT_EQ(winnow({"plan", "--shards", "2", "--deal", "mine"}).code, 65);
  change("epochs: 2", "epochs: 1");
  EXPECT_TRUE(run("1/2", "mine").has(" 3 trained"));
  change("replicate: 6", "replicate: 7");
  EXPECT_TRUE(run("1/2", "mine").has("(1 trial new, 0 gone)"));
  const RunSaid other = run("1/3", "new");
  EXPECT_EQ(other.code, 65);
  EXPECT_TRUE(other.has("deal 'new' has 2 shards, and not 3; a new number needs a new name")) << other.err;
}

TEST_F(Deals, ALabelOfTheSweepMayChange) {
  ASSERT_EQ(run("0/2", "mine").code, 0);
  change("trial:\n", "sweep: renamed\ntrial:\n  label: other\n  save: {metrics: {every: 7}}\n");
  const RunSaid said = run("1/2", "mine");
  EXPECT_EQ(said.code, 0) << said.err;
  EXPECT_TRUE(said.has(" 3 trained")) << said.err;
}

TEST_F(Deals, NamesThatAreNoneAreRefused) {
  for (const char* name : {"", "a/b", "..", "a.b", "a b", "\n"}) EXPECT_EQ(run("0/2", name).code, 64) << name;
  EXPECT_EQ(run("0/2", std::string(65, 'a')).code, 64);
  EXPECT_TRUE(winnow({"run", "--deal", "a"}).has("there is no --shard"));
}

TEST_F(Deals, KilledAtAnyOperationThereIsNoneOrAWholeOne) {
  const TrialTable all = trials();
  const Deal deal{2, "mine"};
  FaultyFiles counting;
  const ShardPlan expected = agreed_shards(counting, folder_ / "whole", all, deal);
  const int operations = counting.operations();
  ASSERT_GT(operations, 5);
  for (const Fault fault : {Fault::DieBefore, Fault::DieHalfWay, Fault::NoSpace}) {
    for (int at = 0; at < operations; ++at) {
      const auto place = folder_ / fmt::format("{}-{}", static_cast<int>(fault), at);
      FaultyFiles faulty(fault, at);
      try {
        agreed_shards(faulty, place, all, deal);
      } catch (const Death&) {
      } catch (const Error&) {
      }
      const auto left = read_shards(files_, place, all, deal);
      if (left) {
        EXPECT_EQ(left->shard_of, expected.shard_of) << at;
      }
      EXPECT_EQ(agreed_shards(files_, place, all, deal).shard_of, expected.shard_of) << at;
    }
  }
}

// Each of them would deal otherwise: another one of the trials is as good as done for it.
TEST_F(Deals, ManyThatStartAtOnceAgree) {
  const TrialTable all = trials();
  const Deal deal{3, "mine"};
  constexpr std::size_t kJobs = 8;
  std::vector<std::vector<int>> seen(kJobs);
  std::atomic<int> first = 0;
  std::vector<std::thread> jobs;
  for (std::size_t job = 0; job < kJobs; ++job) {
    jobs.emplace_back([&, job] {
      PosixFiles files;
      ShardPlan own{std::vector<int>(all.size(), static_cast<int>(job % 3)), std::vector<double>(all.size(), 1)};
      if (write_shards(files, out(), all, deal, own)) ++first;
      seen[job] = agreed_shards(files, out(), all, deal).shard_of;
    });
  }
  for (std::thread& job : jobs) job.join();
  EXPECT_EQ(first, 1);
  for (const auto& each : seen) EXPECT_EQ(each, seen[0]);
}

TEST_F(Deals, AreForgottenWithTheirPlan) {
  ASSERT_EQ(run("0/2", "old").code, 0);
  change("epochs: 1", "epochs: 2");
  ASSERT_EQ(run("0/2", "new").code, 0);
  std::ostringstream said, errors;
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));  // plans are told apart by the second
  ASSERT_EQ(run("1/2", "new").code, 0);
  ASSERT_EQ(run_command_line(std::vector<std::string>{"forget", out().string(), "--yes"}, said, errors), 0)
      << errors.str();
  EXPECT_EQ(files_.list(Layout(out()).shards()), std::vector<std::string>{"deal-new.tsv"}) << said.str();
}

}  // namespace
}  // namespace winnow::test
