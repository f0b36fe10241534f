// --json of every verb whose output is data: that it is there, can be read, and says what the text says.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "experiments/cli/listing.h"
#include "experiments/cli/options.h"
#include "experiments/cli/verbs.h"
#include "experiments/results/layout.h"
#include "experiments/results/plan_file.h"
#include "experiments/results/status.h"
#include "experiments/results/trial_file.h"
#include "tests/results/sample_sweep.h"
#include "tests/results/samples.h"
#include "tests/said.h"

namespace winnow::test {
namespace {

using ParsedJson = nlohmann::json;

// One object, with the schema that the verb is to have.
ParsedJson json_said(std::vector<std::string> args) {
  args.push_back("--json");
  const Said said = winnow(args);
  EXPECT_EQ(said.code, 0) << said.err;
  ParsedJson json = ParsedJson::parse(said.out);
  EXPECT_EQ(json["schema"], "winnow-" + args.front());
  EXPECT_EQ(json["schema_version"].get<std::string>().substr(0, 2), "1.");
  return json;
}

TEST(JsonVerbs, AreAllThatPrintData) {
  const std::map<std::string, std::string> others = {
      {"help", "a page for people"}, {"completion", "a script of the shell"}, {"man", "a page in roff"}};
  std::size_t found = 0;
  for (const Verb& verb : verbs()) {
    VerbOptions options;
    verb.add_options(options);
    const bool other = others.contains(verb.name);
    EXPECT_EQ(options.find_nothrow("json", false) == nullptr, other) << verb.name;
    found += other ? 1 : 0;
  }
  EXPECT_EQ(found, others.size()) << "an exception is no verb";
}

class JsonVerb : public ::testing::Test {
 protected:
  void SetUp() override { write_sample_sweep(files_, out()); }
  std::filesystem::path out() const { return folder_.path() / "out"; }
  std::string place() const { return out().string(); }

  TemporaryFolder folder_;
  PosixFiles files_;
};

std::string collect_text(const ParsedJson& json) {
  return fmt::format("{}: {}{} of {} trials, {} without a result\n", json["file"].get<std::string>(),
                     json["made"].get<bool>() ? "" : "up to date, ", json["trials"].get<int>(),
                     json["planned"].get<int>(), json["without_result"].get<int>());
}

TEST_F(JsonVerb, CollectSaysWhatItsTextSays) {
  const std::string survey = (folder_.path() / "b.h5").string();
  const ParsedJson made = json_said({"collect", place()});
  EXPECT_TRUE(made["made"]);
  EXPECT_EQ(made["damaged"], ParsedJson::array());
  const std::string made_text = winnow({"collect", place(), "-o", survey}).out;
  EXPECT_EQ(collect_text(json_said({"collect", place(), "-o", survey})),
            winnow({"collect", place(), "-o", survey}).out);
  EXPECT_EQ(collect_text(made), (out() / "survey.h5").string() + made_text.substr(survey.size()));

  const auto broken = Layout(out()).trial(sample_trial(1).spec.name());
  auto bytes = files_.read(broken);
  bytes.resize(bytes.size() / 2);
  files_.replace(broken, std::span<const std::byte>(bytes));
  const Said text = winnow({"collect", place(), "--replace"});
  const ParsedJson json = json_said({"collect", place(), "--replace"});
  EXPECT_EQ(collect_text(json), text.out);
  ASSERT_EQ(json["damaged"].size(), 1u);
  EXPECT_EQ(json["damaged"][0]["name"], broken.stem().string());
  EXPECT_EQ("warning: " + json["damaged"][0]["reason"].get<std::string>() + "\n", text.err);
}

TEST_F(JsonVerb, ForgetSaysWhatGoesAndWhetherItWent) {
  EXPECT_EQ(json_said({"forget", place()})["plans"], ParsedJson::array()) << "the plan of now stays";
  const WrittenPlan plan = read_plans(files_, out()).front();
  const std::string id = plan.path.stem().string().substr(0, 8);
  const std::string result = sample_trial(1, "dense", "1", 0).spec.name();
  const std::string failure = sample_trial(4, "snip", "0.02", 2).spec.name();
  std::vector<std::string> args = {"forget", place(), "--plan", id, "--trial", result, "--trial", failure};
  ParsedJson expected = {
      {"schema", "winnow-forget"},
      {"schema_version", "1.1"},
      {"out", place()},
      {"removed", false},
      {"plans",
       {{{"id", id},
         {"last_run", plan.written},
         {"trials", 13},
         {"results", 11},
         {"checkpoints", 0},
         {"stopped", 0},
         {"failures", 1}}}},
      {"trials", {{{"name", result}, {"what", "result"}}, {{"name", failure}, {"what", "failure"}}}}};
  EXPECT_EQ(json_said(args), expected);
  EXPECT_EQ(read_plan(files_, out()).size(), 13u) << "only shown";
  EXPECT_EQ(winnow(args).out,
            fmt::format("would be removed from {}\n  plan {}  last run {}  13 trials, 11 with a result, which stays; "
                        "removed with it: 1 record of failures\n"
                        "  result {}\n  failure {}\nnothing is removed without --yes\n",
                        place(), id, plan.written, result, failure));
  args.emplace_back("--yes");
  expected["removed"] = true;
  EXPECT_EQ(json_said(args), expected);
  EXPECT_TRUE(read_plan(files_, out()).empty());
  EXPECT_EQ(published_trials(files_, out()).size(), 10u);
}

std::string default_shown(const ParsedJson& fallback) {
  if (fallback.is_null()) return "required";
  return "default " + (fallback == "" ? "not set" : fallback.get<std::string>());
}

// What the text of a key says stands in its JSON, and a section has all of its keys.
TEST(JsonOfExplain, SaysWhatTheTextSays) {
  for (const std::string& key : setting_keys()) {
    const ParsedJson settings = json_said({"explain", key})["settings"];
    const std::string text = winnow({"explain", key}).out;
    ASSERT_FALSE(settings.empty()) << key;
    for (const ParsedJson& each : settings) {
      EXPECT_EQ(each["key"], key);
      const std::string meaning = each["meaning"];
      EXPECT_NE(text.find(meaning.substr(0, meaning.find('\n'))), std::string::npos) << text;
      if (!each.contains("type")) continue;  // a word of the language
      EXPECT_NE(text.find(default_shown(each["default"])), std::string::npos) << text;
      for (const ParsedJson& reader : each.value("read_by", ParsedJson::array())) {
        EXPECT_NE(text.find(reader.get<std::string>()), std::string::npos) << text;
      }
    }
  }
  std::vector<std::string> listed, expected;
  const ParsedJson section = json_said({"explain", "train"}), part = json_said({"explain", "lr"});
  for (const ParsedJson& each : section["settings"]) listed.push_back(each["key"]);
  std::ranges::copy_if(setting_keys(), std::back_inserter(expected),
                       [](const std::string& key) { return key.starts_with("train."); });
  EXPECT_EQ(listed, expected);
  EXPECT_TRUE(std::ranges::any_of(part["settings"], [](const ParsedJson& each) { return each["key"] == "train.lr"; }));
  EXPECT_EQ(json_said({"explain", "method.name"})["settings"][0]["choices"].size(), catalog().methods.size());
  EXPECT_EQ(winnow({"explain", "trian", "--json"}).code, 64);
}

TEST(JsonOfInit, SaysWhatWasWrittenAndWhatIsNext) {
  const TemporaryFolder folder;
  const std::string file = (folder.path() / "it's.yaml").string(), other = (folder.path() / "b.yaml").string();
  const ParsedJson json = json_said({"init", file});
  std::ifstream written(file);
  EXPECT_EQ(json["file"], file);
  EXPECT_EQ(json["text"], std::string(std::istreambuf_iterator<char>(written), {}));
  const std::string word = folder.path().string() + "/it'\\''s.yaml'";
  EXPECT_EQ(json["next"], fmt::format("winnow plan '{0} && winnow run '{0} && winnow report", word)) << "for a shell";
  EXPECT_EQ(winnow({"init", other}).out,
            fmt::format("{0}: written\nnext   winnow plan {0} && winnow run {0} && winnow report\n", other));
  const ParsedJson nowhere = json_said({"init", "-"});
  EXPECT_EQ(nowhere["text"], winnow({"init", "-"}).out);
  EXPECT_TRUE(nowhere["file"].is_null() && nowhere["next"].is_null());
}

// A reader that has gone after the first line.
class ReadsOneLine : public std::stringbuf {
  int sync() override { return -1; }
};

TEST_F(JsonVerb, AWatchedStatusIsAnObjectALine) {
  ReadsOneLine first;
  std::ostream gone(&first);
  std::ostringstream errors;
  const std::vector<std::string> args = {place(), "--watch", "--json"};
  run_status(args, gone, errors);
  const auto lines_of = [](const std::string& text) { return std::ranges::count(text, '\n'); };
  EXPECT_EQ(lines_of(first.str()), 1) << first.str();
  EXPECT_EQ(ParsedJson::parse(first.str())["schema"], "winnow-status");
  EXPECT_EQ(ParsedJson::parse(first.str())["missing"].size(), 1u);

  const auto settled = folder_.path() / "settled";
  publish(files_, settled, sample_trial(), kCreated);
  write_plan(files_, settled, std::vector{planned(sample_trial().spec)});
  const Said said = winnow({"status", settled.string(), "--watch", "--json"});
  EXPECT_EQ(said.code, 0) << said.err;
  EXPECT_EQ(lines_of(said.out), 1) << "it ends where all trials are settled";
  EXPECT_EQ(ParsedJson::parse(said.out)["done"], 1);
}

TEST(Resume, IsAnotherNameOfRun) {
  const Said run = winnow({"help", "run"}), resume = winnow({"help", "resume"});
  const auto options = [](const std::string& page) { return page.substr(page.find("\n\n")); };
  EXPECT_EQ(options(resume.out), options(run.out));
  EXPECT_NE(winnow({"help"}).out.find("\n  resume     the same as run: "), std::string::npos);
  EXPECT_EQ(winnow({"resume"}).err, winnow({"run"}).err);
}

}  // namespace
}  // namespace winnow::test
