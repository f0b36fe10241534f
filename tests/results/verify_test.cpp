// `winnow verify`: a directory that holds what was written has no fault, every kind of damage is one line that names the
// file, and looking changes nothing. And records of results for surveys: they say what the HDF5 content says.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "core/state_bytes.h"
#include "experiments/results/checkpoint_file.h"
#include "experiments/results/container.h"
#include "experiments/results/failure_file.h"
#include "experiments/results/journal.h"
#include "experiments/results/layout.h"
#include "experiments/results/plan_file.h"
#include "experiments/results/shard_plan.h"
#include "experiments/results/survey.h"
#include "experiments/results/trial_file.h"
#include "experiments/results/trial_record.h"
#include "experiments/sweep/identity.h"
#include "experiments/sweep/sweep.h"
#include "tests/results/samples.h"
#include "tests/said.h"

namespace winnow::test {
namespace {

namespace fs = std::filesystem;
using Bytes = std::vector<std::byte>;

TrialResult named_trial(const std::string& method, const std::string& density, int replicate, double accuracy = 0.9) {
  TrialResult trial = sample_trial(1, method, density, replicate, accuracy);
  trial.spec.id = trial_id(trial.spec.canonical());
  return trial;
}

class Verify : public ::testing::Test {
 protected:
  void SetUp() override {
    const TrialResult dense = named_trial("dense", "1", 0);
    TrialResult pupil = named_trial("rigl", "0.1", 0);
    publish(files_, out(), dense, kCreated);
    pupil.lineage = {{"teacher", dense.spec.name()},
                     {"teacher.digest", read_header(files_, result(dense)).content_digest}};
    publish(files_, out(), pupil, kCreated);
    const TrialResult failed = named_trial("snip", "0.1", 0), absent = named_trial("snip", "0.1", 1);
    record_failure(files_, out(), failed.spec, "out of memory");
    write_plan(files_, out(),
               std::vector{planned(dense.spec), planned(pupil.spec), planned(failed.spec), planned(absent.spec)});
    JournalWriter journal(files_, out(), "run");
    for (int i = 0; i < 3; ++i) journal.append({{"kind", "beat"}, {"time", 1000 + i}});
    MemoryState state;
    state.put_value("step", std::int64_t{7});
    CheckpointFolder(files_, out(), absent.spec.name())
        .keep(encode_checkpoint({.trial = absent.spec.name(), .writer = "w", .precision = "f32"}, bytes_of(state)));
    archive_sweep(files_, out(), "sweep: a\n");
    const std::vector<TrialSpec> dealt{dense.spec, pupil.spec};
    for (const std::string name : {"", "late"}) {
      write_shards(files_, out(), TrialTable(dealt), {2, name}, {{0, 1}, {1.5, 2}});
    }
    CheckpointFolder(files_, out(), absent.spec.name()).note_crash(1, "signal 11");
    ASSERT_EQ(winnow({"collect", out().string()}).code, 0);
  }
  fs::path out() const { return folder_.path() / "out"; }
  fs::path result(const TrialResult& trial) const { return Layout(out()).trial(trial.spec.name()); }
  fs::path dense() const { return result(named_trial("dense", "1", 0)); }
  fs::path pupil() const { return result(named_trial("rigl", "0.1", 0)); }
  fs::path journal() const { return out() / "journal" / "run.a0001.jnl"; }
  fs::path checkpoint() const {
    return Layout(out()).checkpoints(named_trial("snip", "0.1", 1).spec.name()) / "00000001.ck";
  }
  fs::path survey() const { return out() / "survey.h5"; }

  void flip(const fs::path& path, double share) {
    Bytes bytes = files_.read(path);
    auto& one = bytes.at(static_cast<std::size_t>(share * static_cast<double>(bytes.size() - 1)));
    one ^= std::byte{0x10};
    files_.replace(path, std::span<const std::byte>(bytes));
  }
  // One fault, that begins with the path and has these words.
  void expect_fault(const fs::path& path, const std::string& words, const std::string& place = "") {
    const Said said = winnow({"verify", place.empty() ? out().string() : place, "--json"});
    EXPECT_EQ(said.code, 66);
    const auto faults = nlohmann::json::parse(said.out).at("faults").get<std::vector<std::string>>();
    ASSERT_EQ(faults.size(), 1u) << said.out;
    EXPECT_TRUE(faults[0].starts_with(path.string() + ":")) << faults[0];
    EXPECT_NE(faults[0].find(words), std::string::npos) << faults[0];
    EXPECT_EQ(faults[0].find('\n'), std::string::npos);
  }

  TemporaryFolder folder_;
  PosixFiles files_;
};

TEST_F(Verify, WhatWasWrittenHasNoFaultAndLookingChangesNothing) {
  std::map<std::string, std::pair<Bytes, fs::file_time_type>> before, after;
  const auto look = [&](auto& at) {
    for (const auto& each : fs::recursive_directory_iterator(out())) {
      at[each.path()] = {each.is_directory() ? Bytes() : files_.read(each.path()), each.last_write_time()};
    }
  };
  look(before);
  const Said said = winnow({"verify", out().string()});
  look(after);
  EXPECT_EQ(said.code, 0) << said.out;
  EXPECT_TRUE(before == after);
  EXPECT_NE(said.out.find("looked at 2 results, 2 plans, 1 journal, 1 checkpoint, 1 survey, 5 other records; 2 of 4 "
                          "trials without a result; "
                          "no fault"),
            std::string::npos)
      << said.out;
  EXPECT_NE(said.out.find("failed: out of memory"), std::string::npos) << said.out;
  EXPECT_EQ(winnow({"verify", out().string(), "--strict"}).code, 3);
  EXPECT_EQ(winnow({"verify", (out() / "nothing").string()}).code, 66);
}

TEST_F(Verify, AByteThatIsWrongAnywhereInAnyFileIsOneFault) {
  for (const fs::path& path : {dense(), checkpoint(), survey()}) {
    const Bytes whole = files_.read(path);
    for (const double share : {0.0, 0.3, 0.7, 0.97}) {
      flip(path, share);
      const Said said = winnow({"verify", path.string()});
      EXPECT_EQ(said.code, 66) << path << " at " << share << said.out;
      EXPECT_TRUE(said.out.starts_with(path.string() + ": ")) << said.out;
      files_.replace(path, std::span<const std::byte>(whole));
    }
    EXPECT_EQ(winnow({"verify", path.string()}).code, 0);
  }
  flip(dense(), 0.5);  // in a weight: a survey is none the worse for it
  const Said said = winnow({"verify", out().string()});
  EXPECT_EQ(said.code, 66);
  EXPECT_NE(said.out.find(pupil().string() + ": its teacher"), std::string::npos) << said.out;
  EXPECT_NE(said.out.find("2 faults"), std::string::npos) << said.out;
}

TEST_F(Verify, SealsThatAreRightDoNotHideOtherContent) {
  const Bytes whole = files_.read(dense());
  const Unsealed content = unsealed(whole);
  // Another trial's figures for surveys, with all check sums right.
  const auto record = encode_record(read_whole_trial(files_, pupil()));
  Bytes image(content.image.begin(),
              content.image.end() - static_cast<std::ptrdiff_t>(record_place(content.note)->bytes));
  image.insert(image.end(), record.begin(), record.end());
  files_.replace(dense(), std::span<const std::byte>(sealed(image, note_with_record(content.note, record))));
  expect_fault(dense(), "its record for surveys says something else", dense().string());
  files_.replace(dense(), std::span<const std::byte>(whole));

  TrialResult other = named_trial("dense", "1", 3);
  other.spec.id = named_trial("snip", "0.5", 3).spec.id;
  publish(files_, out(), other, kCreated);
  expect_fault(result(other), "its settings are not those of the id");
}

TEST_F(Verify, WhatATrialWasTrainedFromMustBeThere) {
  fs::remove(dense());
  fs::remove(survey());
  expect_fault(pupil(), "has no result here");
  publish(files_, out(), named_trial("dense", "1", 0, 0.5), kCreated);
  expect_fault(pupil(), "was another result when this one was trained");
}

TEST_F(Verify, ADamagedLineOfAJournalIsNamedAndATornLastOneIsNormal) {
  std::ofstream(journal(), std::ios::app) << "12345678 {\"kind\": \"be";
  EXPECT_EQ(winnow({"verify", out().string()}).code, 0);
  flip(journal(), 0.5);
  expect_fault(journal(), ":2: is damaged");
  expect_fault(journal(), ":2: is damaged", journal().string());
}

TEST_F(Verify, ACheckpointOfAnotherTrialIsAFault) {
  const fs::path other = Layout(out()).checkpoints(named_trial("snip", "0.1", 0).spec.name()) / "00000001.ck";
  files_.write_once(other, files_.read(checkpoint()));
  expect_fault(other, "is of the trial " + named_trial("snip", "0.1", 1).spec.name());
}

TEST_F(Verify, ASurveyMayBeOlderThanTheResultsButSayNothingElse) {
  publish(files_, out(), named_trial("dense", "1", 1), kCreated);
  const Said older = winnow({"verify", out().string()});
  EXPECT_EQ(older.code, 0) << older.out;
  EXPECT_NE(older.out.find("note " + survey().string() + ": is older than 1 result;"), std::string::npos) << older.out;
  const Bytes pupil_was = files_.read(pupil());
  fs::remove(pupil());
  expect_fault(survey(), "which has no result here");
  TrialResult other = named_trial("rigl", "0.1", 0, 0.4);
  other.lineage.clear();
  publish(files_, out(), other, kCreated);
  expect_fault(survey(), "is of another result than there is");
}

TEST_F(Verify, ADamagedPlanIsAFault) {
  const fs::path plan = out() / "plans" / files_.list(out() / "plans").at(0);
  std::ofstream(plan, std::ios::app) << "nonsense\n";
  expect_fault(plan, "expected <id>-r<replicate>");
}

TEST_F(Verify, APlanHasTheTrialsAndTheSettingsThatItWasWrittenWith) {
  const fs::path plan = out() / "plans" / files_.list(out() / "plans").at(0);
  const Bytes whole = files_.read(plan);
  const std::string text = text_of(whole);
  std::string other = text;
  other.replace(other.find("density=0.1"), 11, "density=0.2");
  files_.replace(plan, other);
  expect_fault(plan, "are not those of its id");
  files_.replace(plan, text.substr(0, text.rfind('\n', text.size() - 2) + 1));
  expect_fault(plan, "its trials are not those that it is named by");
  files_.replace(plan, std::span<const std::byte>(whole));
  EXPECT_EQ(winnow({"verify", out().string()}).code, 0);
}

// Whatever kinds of settings a sweep has, lists and lists of names among them.
TEST_F(Verify, NoPlanOfAnExampleIsAFault) {
  for (const auto& each : fs::directory_iterator(fs::path(WINNOW_SOURCE_DIR) / "examples")) {
    const fs::path place = folder_.path() / each.path().stem();
    write_plan(files_, place, load_sweep(each.path(), catalog()).trials);
    for (const WrittenPlan& plan : read_plans(files_, place)) {
      if (plan.path.filename() == "plan.tsv") continue;
      EXPECT_EQ(plan_fault(plan).value_or(""), "") << each.path();
    }
  }
}

// What only says how it came to the results is looked at too.
TEST_F(Verify, RecordsOfSweepsDealsFailuresAndCrashesAreReadAndTheirNamesCompared) {
  const Layout layout(out());
  const std::string dealt = files_.list(layout.shards()).at(0), named = files_.list(layout.shards()).at(1);
  ASSERT_EQ(named, "deal-late.tsv");
  const fs::path crash = layout.checkpoints(named_trial("snip", "0.1", 1).spec.name()) / "00000001.crash";
  const std::vector<std::pair<fs::path, std::string>> places = {
      {layout.sweeps() / files_.list(layout.sweeps()).at(0), "not the text that it is named by"},
      {layout.shards() / dealt, "is damaged"},
      {layout.shards() / named, "is damaged"},
      {layout.failure(named_trial("snip", "0.1", 0).spec.name()), "no record of a failure"},
      {crash, "no note of a crash"}};
  for (const auto& [path, words] : places) {
    const Bytes whole = files_.read(path);
    flip(path, 0.0);
    expect_fault(path, words);
    files_.replace(path, std::span<const std::byte>(whole));
  }
  const fs::path of_three = layout.shards() / (dealt.substr(0, dealt.rfind(".2.")) + ".3.tsv");
  files_.write_once(of_three, files_.read(layout.shards() / dealt));
  expect_fault(of_three, "of another plan or number of shards");
  fs::remove(of_three);
  files_.write_once(layout.submissions() / "0001.intent.json", std::as_bytes(std::span("{}")));
  expect_fault(layout.submissions() / "0001.intent.json", "is no record of a submission");
}

// What collect reads of a result is the end of it; without that it reads the HDF5 content.
TEST_F(Verify, RecordsMakeTheSurveyThatTheContentMakes) {
  EXPECT_EQ(collect_survey(files_, out(), out() / "quick.h5", SurveyWeights::Link).trials, 2u);
  for (const fs::path& path : {dense(), pupil()}) {
    const Bytes whole = files_.read(path);
    EXPECT_TRUE(read_record(files_, path).has_value());
    const Unsealed content = unsealed(whole);
    const Bytes image(content.image.begin(),
                      content.image.end() - static_cast<std::ptrdiff_t>(record_place(content.note)->bytes));
    files_.replace(path, std::span<const std::byte>(image));
    EXPECT_FALSE(read_record(files_, path).has_value());
  }
  collect_survey(files_, out(), out() / "slow.h5", SurveyWeights::Link);
  // Behind their content they say that the results were of other times.
  const Bytes quick = files_.read(out() / "quick.h5"), slow = files_.read(out() / "slow.h5");
  EXPECT_TRUE(std::ranges::equal(unsealed(quick).image, unsealed(slow).image));
}

TEST_F(Verify, CollectingGoesByTheRecordWhereTheRestIsDamaged) {
  flip(dense(), 0.0);
  fs::remove(survey());
  ASSERT_EQ(winnow({"collect", out().string()}).code, 0);
  const Survey found = read_survey(files_, survey());
  EXPECT_EQ(rows_of(found.trials), 2u);
  EXPECT_EQ(find_column(found.epochs, "test_acc")->mode, "max") << "as another trial says it";
}

// Collecting opens each result once and reads no more than its end, however large its weights are.
class EndReads : public PosixFiles {
 public:
  std::vector<std::byte> read(const Path& path) override {
    if (path.extension() == ".h5") ++whole;
    return PosixFiles::read(path);
  }
  End read_end(const Path& path, std::size_t count) override {
    End end = PosixFiles::read_end(path, count);
    if (path.extension() == ".h5") bytes += end.bytes.size();
    return end;
  }
  std::size_t whole = 0, bytes = 0;
};

TEST_F(Verify, CollectingReadsTheEndsOfResults) {
  for (int replicate = 1; replicate < 40; ++replicate) {
    TrialResult trial = named_trial("dense", "1", replicate);
    trial.weights.push_back(dense_weight("large", {200, 200}));
    publish(files_, out(), trial, kCreated);
  }
  EndReads files;
  const Survey survey = gather_survey(files, out());
  EXPECT_EQ(rows_of(survey.trials), 41u);
  EXPECT_LE(files.whole, 3u) << "what columns mean is read of the first trials";
  EXPECT_LT(files.bytes, 41u * 60'000u) << "less than half of what the files have";
}

// Weights that compress to next to nothing: what a reader may be asked to unpack of a stranger's file is no limit of ours.
TEST(Record, WeightsOfZerosAreWrittenHoweverManyTheyAre) {
  TrialResult result = sample_trial();
  result.weights = {dense_weight("wide", {3000, 3000})};
  std::ranges::fill(result.weights[0].values, 0.0f);
  result.spec.settings.set("save.weights.form", "dense");
  const std::vector<std::byte> bytes = encode_trial(result, kCreated);
  EXPECT_LT(bytes.size(), std::size_t{1} << 20);
  EXPECT_TRUE(record_in(bytes, "wide").has_value());
}

TEST(Record, AnyBytesAreAnErrorInALine) {
  TrialResult trial = named_trial("rigl", "0.1", 0);
  ReadTrial read{{.name = "",
                  .id = trial.spec.id,
                  .replicate = 0,
                  .reason = "",
                  .created = "",
                  .writer = "",
                  .content_digest = ""},
                 trial};
  const Bytes whole = encode_record(read);
  EXPECT_EQ(encode_record(decode_record(whole, "r")), whole);
  for (std::size_t at = 0; at < whole.size(); at += 7) {
    Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(at)), changed = whole;
    changed[at] ^= std::byte{0xff};
    EXPECT_THROW(decode_record(cut, "r"), Error) << at;
    try {
      decode_record(changed, "r");  // a figure may be another
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::Input) << error.what();
    }
  }
}

}  // namespace
}  // namespace winnow::test
