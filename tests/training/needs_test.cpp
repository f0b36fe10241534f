// Trials that need others, run: in order, on several workers and at any end of those that they need.
#include <nlohmann/json.hpp>
#include <sstream>

#include "experiments/cli/verbs.h"
#include "experiments/results/failure_file.h"
#include "experiments/results/layout.h"
#include "experiments/results/trial_file.h"
#include "experiments/run/need_order.h"
#include "tests/training/run_fixture.h"

namespace winnow::test {
namespace {

class RunNeeds : public RunFixture {
 protected:
  RunNeeds()
      : RunFixture(
            "  - cases:\n"
            "      - {name: born_again, label: second, method.teacher: first}\n"
            "      - {name: ticket, method.of: magnitude}\n"
            "      - {name: born_again, label: first, method.labels: 1}\n"
            "      - {name: magnitude, method.density: 0.2}\n"
            "      - dense\n"
            "  - replicate: 2\n") {}
  TrialSpec trial(const std::string& label, std::int64_t replicate = 0) const {
    for (const TrialSpec& spec : trials()) {
      const std::string& own = spec.settings.text("label");
      if (spec.replicate == replicate && (own.empty() ? spec.settings.text("method.name") : own) == label) return spec;
    }
    ADD_FAILURE() << label;
    return {};
  }
  nlohmann::json status() const {
    std::ostringstream text, errors;
    const std::vector<std::string> args = {"status", out().string(), "--json"};
    EXPECT_EQ(run_command_line(args, text, errors), 0) << errors.str();
    return nlohmann::json::parse(text.str());
  }
  bool is_done(const TrialSpec& spec) const { return files_.exists(Layout(out()).trial(spec.name())); }
};

TEST_F(RunNeeds, EveryTrialIsTrainedAfterWhatItNeedsByAnyNumberOfWorkers) {
  std::vector<std::string> digests;
  for (const char* workers : {"1", "4"}) {
    std::filesystem::remove_all(out());
    const RunSaid said = winnow({"run", "--workers", workers, "--threads", "1"});
    ASSERT_EQ(said.code, 0) << said.err;
    EXPECT_TRUE(said.has("10 trials: 0 already done, 10 trained, 0 diverged, 0 failed")) << said.err;
    std::string all;
    for (const TrialSpec& spec : trials()) {
      const ReadTrial read = read_whole_trial(files_, Layout(out()).trial(spec.name()));
      all += read.header.content_digest;
      EXPECT_EQ(read.result.lineage.size(), 2 * spec.needs.size());
      for (const TrialNeed& need : spec.needs) {
        EXPECT_EQ(read.result.lineage.at(need.role), need.trial);
        const auto digest = read_header(files_, Layout(out()).trial(need.trial)).content_digest;
        EXPECT_EQ(read.result.lineage.at(need.role + ".digest"), digest);
      }
    }
    digests.push_back(all);
  }
  EXPECT_EQ(digests[0], digests[1]);
  EXPECT_TRUE(winnow({"run"}).has("10 already done, 0 trained"));
}

TEST_F(RunNeeds, ATicketHasTheMaskOfTheTrialThatItNames) {
  ASSERT_EQ(winnow({"run"}).code, 0);
  const auto masks = [&](const TrialSpec& spec) {
    std::map<std::string, std::vector<std::uint8_t>> found;
    for (const WeightRecord& weight : load_weights(Layout(out()).trial(spec.name()))) {
      if (weight.prunable) found[weight.name] = weight.keep;
    }
    return found;
  };
  for (const std::int64_t replicate : {0, 1}) {
    EXPECT_EQ(masks(trial("ticket", replicate)), masks(trial("magnitude", replicate)));
  }
  EXPECT_NE(masks(trial("ticket", 0)), masks(trial("ticket", 1)));
}

TEST_F(RunNeeds, OnlyTrainsWhatIsNeededToo) {
  const RunSaid said = winnow({"run", "--only", "method.name=ticket"});
  EXPECT_EQ(said.code, 0);
  EXPECT_TRUE(said.has("4 trials: 0 already done, 4 trained")) << said.err;
  EXPECT_TRUE(is_done(trial("magnitude")));
  EXPECT_FALSE(is_done(trial("dense")));
  EXPECT_TRUE(winnow({"run"}).has("10 trials: 4 already done, 6 trained"));
}

TEST_F(RunNeeds, ATicketWithoutItsMaskSaysThatItsSourceFailed) {
  record_failure(files_, out(), trial("magnitude"), "no luck");
  winnow({"run", "--no-retry", "--only", "method.name=ticket"});
  EXPECT_EQ(failure_reason(files_, out(), trial("ticket").name()),
            "its source " + trial("magnitude").name() + " failed: no luck");
}

TEST_F(RunNeeds, AFailedTrialFailsThoseThatNeedItWithALineThatNamesIt) {
  const TrialSpec dense = trial("dense"), first = trial("first"), second = trial("second");
  record_failure(files_, out(), dense, "no luck");
  for (const char* workers : {"1", "3"}) {
    const RunSaid said = winnow({"run", "--no-retry", "--workers", workers, "--threads", "1"});
    EXPECT_EQ(said.code, 0) << said.err;
    EXPECT_FALSE(is_done(first));
    EXPECT_EQ(failure_reason(files_, out(), first.name()), "its teacher " + dense.name() + " failed: no luck");
    const auto deeper = failure_reason(files_, out(), second.name());
    ASSERT_TRUE(deeper);
    EXPECT_TRUE(deeper->starts_with("its teacher " + first.name() + " failed: its teacher")) << *deeper;
    EXPECT_TRUE(is_done(trial("first", 1))) << "the other replicate has nothing to do with it";
    EXPECT_EQ(status()["failed"].size(), 3u);
  }
  // The same command without --no-retry goes on with all of them.
  EXPECT_TRUE(winnow({"run"}).has("10 trials: 7 already done, 3 trained, 0 diverged, 0 failed"));
  EXPECT_FALSE(failure_reason(files_, out(), second.name()));
}

TEST_F(RunNeeds, AnOldFailureOfWhatIsTrainedNowFailsNobody) {
  for (const char* label : {"dense", "first", "second", "magnitude", "ticket"}) {
    record_failure(files_, out(), trial(label), "no luck");
  }
  const RunSaid said = winnow({"run", "--workers", "3", "--threads", "1"});
  EXPECT_TRUE(said.has("10 trained, 0 diverged, 0 failed")) << said.err;
}

TEST_F(RunNeeds, ADivergedOrUnreadableTrialHelpsNobody) {
  const RunSaid said = winnow({"run", "--only", "method.name=born_again", "--set", "train.lr=1e12"});
  EXPECT_TRUE(said.has("6 trials: 0 already done, 0 trained, 2 diverged, 4 failed")) << said.err;
  EXPECT_TRUE(said.has(" diverged\n")) << said.err;

  ASSERT_EQ(winnow({"run", "--only", "method.name=dense"}).code, 0);
  const auto path = Layout(out()).trial(trial("dense").name());
  const auto whole = files_.read(path);
  files_.replace(path, std::span(whole).first(whole.size() / 2));
  const RunSaid cut = winnow({"run", "--only", "method.name=born_again"});
  EXPECT_EQ(cut.code, 66);
  const auto reason = failure_reason(files_, out(), trial("first").name());
  ASSERT_TRUE(reason);
  EXPECT_NE(reason->find("cannot be read: " + path.string() + ": is cut short"), std::string::npos) << *reason;
}

TEST(NeedOrder, DepthsAndChains) {
  const auto named = [](const std::string& id, const std::vector<std::string>& needs) {
    TrialSpec spec;
    spec.id = id;
    for (const std::string& need : needs) spec.needs.push_back({"m", "teacher", "method.teacher", need + "-r0"});
    return spec;
  };
  const std::vector<TrialSpec> trials = {named("c", {"b"}), named("b", {"a"}), named("a", {}), named("d", {"a", "c"}),
                                         named("e", {"elsewhere"})};
  const std::vector<double> costs = {1, 2, 4, 8, 16};
  const NeedOrder order = need_order(TrialTable(trials), costs);
  EXPECT_EQ(order.depth, (std::vector<int>{2, 1, 0, 3, 0}));
  EXPECT_EQ(order.chain, (std::vector<double>{9, 11, 15, 8, 16}));
  EXPECT_EQ(order.deepest, 3);
}

}  // namespace
}  // namespace winnow::test
