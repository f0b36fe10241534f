// Every way to write a wrong sweep file that we know of, with the place and the words of its message.
#include <regex>

#include "tests/sweep/sweep_fixture.h"

namespace winnow::test {
namespace {

struct Wrong {
  const char* name;
  std::string text;
  const char* place;  // "8:5"
  const char* words;
};

// kHead has five lines; what follows it starts with line 6.
const std::string kDense = "  method: {name: dense}\n";
const std::string kSnip = "  method: {name: snip, density: 0.5}\n";

// Four nodes, each 40 maps around the one before.
std::string deep_by_aliases() {
  std::string text = "define:\n";
  for (int i = 0; i < 4; ++i) {
    const std::string inner = i == 0 ? "1" : fmt::format("*a{}", i - 1);
    std::string around, ends;
    for (int depth = 0; depth < 40; ++depth) {
      around += "{a: ";
      ends += "}";
    }
    text += fmt::format("  a{}: &a{} {}{}{}\n", i, i, around, inner, ends);
  }
  return text;
}

const std::vector<Wrong>& wrong_files() {
  static const std::vector<Wrong> files = {
      // YAML itself
      {"EmptyFile", "", "1:1", "a sweep file is a map with the sections"},
      {"OnlyAScalar", "hello\n", "1:1", "a sweep file is a map"},
      {"OnlyAList", "- a\n- b\n", "1:1", "a sweep file is a map"},
      {"UnclosedBrace", "trial: {a: 1\n", "2:1", "not readable as YAML"},
      {"UnclosedQuote", "sweep: t\nsite: \"abc\nschema: 1\n", "2:7", "the closing quote is missing"},
      {"UnclosedSingle", "site: 'it''s\n", "1:7", "the closing quote is missing"},
      {"BadIndent", "trial:\n  a: 1\n b: 2\n", "3:2", "not readable as YAML"},
      {"TabIndent", "trial:\n\ta: 1\n", "2:3", "not readable as YAML"},
      {"TwoDocuments", kHead + kDense + "---\nsweep: u\n", "8:1", "holds one document"},
      {"Tag", kHead + kDense + "define: !!str x\n", "7:9", "tags are not part of the sweep file"},
      {"LocalTag", kHead + kDense + "define: !python/object x\n", "7:9", "tags are not part"},
      {"TooDeep", "define: " + std::string(120, '[') + std::string(120, ']') + "\n", "1:108",
       "more than 100 lists and maps inside each other"},
      {"TooDeepByAliases", deep_by_aliases(), "4:171", "more than 100 lists and maps inside each other"},
      {"MergeKey", "define: {a: &a {lr: 1}}\ntrial:\n  train: {<<: *a}\n", "3:11", "merge keys"},
      {"UndefinedAlias", "sweep: t\nsite: *nothing\n", "2:7", "not readable as YAML"},
      {"AliasInsideItself", "define: &a [1, *a]\n", "1:16", "an alias inside the node it names"},
      {"ListAsKey", "? [a, b]\n: 1\n", "1:3", "a key must be a plain word"},
      {"DuplicateKey", kHead + kDense + "sweep: again\n", "7:1", "key 'sweep' is given twice, first in line 1"},
      {"DuplicateNested", kHead + "  method: {name: dense, name: snip}\n", "6:25", "given twice, first in line 6"},
      {"DottedAndNested", kHead + kDense + "  train: {lr: 1}\n  train.lr: 2\n", "8:3",
       "key 'train.lr' is given twice, first in line 7"},
      // sections
      {"UnknownSection", kHead + kDense + "axis: []\n", "7:1", "unknown section 'axis'"},
      {"OtherSchema", "schema: 2\ntrial: {data.name: mnist, model.name: vgg16, method.name: dense}\n", "1:9",
       "this winnow reads schema 1, the file says 2"},
      {"LabelWithSlash", "sweep: a/b\n" + kHead.substr(9) + kDense, "1:8", "the label 'a/b' must be"},
      {"TrialIsAList", "trial: [1]\n", "1:8", "'trial' must be a map, is a list"},
      {"AxesAreAMap", kHead + kDense + "axes: {train.lr: [1]}\n", "7:7", "'axes' must be a list, is a map"},
      {"StopUnknownRule", kHead + kDense + "stop: {ahsa: {min: 20}}\n", "7:8",
       "unknown key 'stop.ahsa'; known: asha, halving, hyperband, median, nonfinite"},
      {"StopMedianNoMap", kHead + kDense + "stop: {median: 5}\n", "7:16",
       "'stop.median' is a map with metric, min, every, trials and by"},
      {"StopMedianNoMin", kHead + kDense + "stop: {median: {metric: test_acc}}\n", "7:8",
       "'stop.median.min' is required"},
      {"StopMedianEta", kHead + kDense + "stop: {median: {metric: test_acc, min: 20, eta: 3}}\n", "7:44",
       "'stop.median.eta' unknown key"},
      {"StopMedianEvery", kHead + kDense + "stop: {median: {metric: test_acc, min: 20, every: 0}}\n", "7:51",
       "'stop.median.every' must be whole epochs, 1ep or more, is 0ep"},
      {"StopMedianEveryInSteps", kHead + kDense + "stop: {median: {metric: test_acc, min: 20, every: 100it}}\n", "7:51",
       "'stop.median.every' must be whole epochs, 1ep or more, is 100it"},
      {"StopMedianTrials", kHead + kDense + "stop: {median: {metric: test_acc, min: 20, trials: 1}}\n", "7:52",
       "'stop.median.trials' must be in [2, 1000000], is 1"},
      {"StopMedianMinTooLong", kHead + kDense + "stop: {median: {metric: test_acc, min: 160}}\n", "7:40",
       "'stop.median.min' must be less than 'train.epochs' of some trial, the longest has 160ep"},
      {"StopTrialsOfAsha", kHead + kDense + "stop: {asha: {metric: test_acc, min: 20, trials: 9}}\n", "7:42",
       "'stop.asha.trials' unknown key"},
      {"StopTwoRules", kHead + kDense + "stop: {asha: {metric: test_acc, min: 20}, halving: {min: 20}}\n", "7:43",
       "'stop' has one rule at most: 'asha' is given, too"},
      {"StopNoMap", kHead + kDense + "stop: {asha: yes}\n", "7:14",
       "'stop.asha' is a map with metric, min, eta and by"},
      {"StopUnknownOption", kHead + kDense + "stop: {asha: {metric: test_acc, min: 20, eat: 3}}\n", "7:42",
       "'stop.asha.eat' unknown key; did you mean 'eta'?"},
      {"StopNoMin", kHead + kDense + "stop: {asha: {metric: test_acc}}\n", "7:8", "'stop.asha.min' is required"},
      {"StopMinInSteps", kHead + kDense + "stop: {asha: {metric: test_acc, min: 500it}}\n", "7:38",
       "'stop.asha.min' must be whole epochs, 1ep or more, is 500it"},
      {"StopMinTooLong", kHead + kDense + "stop: {asha: {metric: test_acc, min: 160}}\n", "7:38",
       "'stop.asha.min' must be less than 'train.epochs' of some trial, the longest has 160ep"},
      {"StopEta", kHead + kDense + "stop: {asha: {metric: test_acc, min: 20, eta: 1}}\n", "7:47",
       "'stop.asha.eta' must be in [2, 100], is 1"},
      {"StopUnknownMetric", kHead + kDense + "stop: {asha: {metric: tset_acc, min: 20}}\n", "7:23",
       "'stop.asha.metric'"},
      {"StopNoMetric", kHead + kDense + "stop: {asha: {min: 20}}\n", "7:8", "'stop.asha.metric' must be given, since"},
      {"StopNoValidation", kHead + kDense + "stop: {asha: {metric: val_acc, min: 20}}\n", "7:23",
       "'stop.asha.metric' cannot be val_acc, since some trials keep no images for validation"},
      {"StopByNothing", kHead + kDense + "stop: {asha: {metric: test_acc, min: 20, by: [model.nmae]}}\n", "7:47",
       "no trial of this sweep has 'model.nmae'"},
      {"StopSteps", kHead + kDense + "  train: {epochs: 500it}\nstop: {asha: {metric: test_acc, min: 20}}\n", "8:8",
       "'stop.asha' counts epochs, and 'train.epochs' is 500it in some trials"},
      {"StopRanks",
       kHead + kDense +
           "axes: [zip: {ranks: [1, 2], train.lr: [0.1, 0.2]}]\nstop: {asha: {metric: test_acc, min: 20}}\n",
       "8:8", "'stop.asha' needs the same 'ranks' in all trials"},
      {"StopUnknown", kHead + kDense + "stop: {never: 1}\n", "7:8", "unknown key 'stop.never'"},
      {"Site", kHead + kDense + "site: cluster\n", "7:1", "'site' is not supported by this version"},
      {"StopOther", kHead + kDense + "stop: {nonfinite: go}\n", "7:19", "'stop.nonfinite' must be 'stop'"},
      {"PairOther", kHead + kDense + "pair: init\n", "7:7", "'pair' must be one of none, data_order, all, is init"},
      {"ExtendsMissing", "extends: [none.yaml]\n" + kHead + kDense, "1:11", "no such file"},
      {"ExtendsItself", "extends: s.yaml\n" + kHead + kDense, "1:10", "'s.yaml' extends itself"},
      {"ExtendsUrl", "extends: [\"http://x/y\"]\n" + kHead + kDense, "1:11", "local files only"},
      {"ExtendsMap", "extends: [{a: b}]\n" + kHead + kDense, "1:11", "'extends' is a list of file names"},
      // settings
      {"SeedOfATrial", kHead + kDense + "  seed: 3\n", "7:3", "unknown key 'seed'"},
      {"SeedSection", kHead + kDense + "seed: 3\n", "7:1", "unknown section 'seed'"},
      {"SeedAxis", kHead + kDense + "axes: [{train.seed: [1, 2]}]\n", "7:9", "unknown key 'train.seed'"},
      {"AxisNobodyReads", kHead + kDense + "  train: {optimizer: adam}\naxes: [{train.momentum: [0.5, 0.9]}]\n", "8:9",
       "'train.momentum' is not read by every trial of this axis"},
      {"MilestoneTwice", kHead + kDense + "  train: {schedule: {kind: multistep, at: [1, 2, 1]}}\n", "7:43",
       "'train.schedule.at' holds 1ep twice"},
      {"UnknownKey", kHead + kDense + "  train.learning_rate: 1\n", "7:3", "unknown key 'train.learning_rate'"},
      {"UnknownNestedKey", kHead + kDense + "  train: {schedule: {knd: cosine}}\n", "7:22",
       "unknown key 'train.schedule.knd'"},
      {"SettingIsASection", kHead + kDense + "  train: 3\n", "7:3", "unknown key 'train'"},
      {"UnknownMethod", kHead + "  method: {name: snipp}\n", "6:18", "unknown method.name 'snipp'"},
      {"UnknownModel", "trial: {data.name: mnist, model.name: x, method.name: dense}\n", "1:39",
       "unknown model.name 'x'"},
      {"UnknownData", "trial: {data.name: mnits, model.name: vgg16, method.name: dense}\n", "1:20",
       "unknown data.name 'mnits'"},
      {"NoMethod", kHead, "3:1", "'method.name' is required and not given"},
      {"NoTrial", "sweep: t\n", "1:1", "'data.name' is required and not given"},
      {"NoDensity", kHead + "  method: {name: snip}\n", "6:18", "'method.density' is required and not given"},
      {"NoValue", kHead + kDense + "  train.lr:\n", "7:3", "'train.lr' has no value"},
      {"MapForAList", kHead + kDense + "  train: {schedule.at: [[1], 2]}\n", "7:25", "must be a plain value"},
      {"WrongType", kHead + kDense + "  train: {lr: fast}\n", "7:15", "'train.lr' must be a number, is fast"},
      {"OutOfRange", kHead + "  method: {name: snip, density: 1.5}\n", "6:33",
       "'method.density' must be in (0, 1], is 1.5"},
      {"NotAnInteger", kHead + kDense + "  train: {batch: 1.5}\n", "7:18", "must be an integer, is 1.5"},
      {"NoIsAWord", kHead + kDense + "  train: {nesterov: no}\n", "7:21", "must be true or false, is no"},
      {"NotAChoice", kHead + kDense + "  train: {optimizer: sdg}\n", "7:22", "did you mean 'sgd'?"},
      {"BadLength", kHead + kDense + "  train: {epochs: 1.5}\n", "7:19", "must be a length"},
      {"ReadByNoMethod", kHead + kDense + "  method.density: 0.5\n", "7:3",
       "'method.density' is read by no selected method"},
      {"ReadByNoModel", kHead + kDense + "  model.hidden: [5]\n", "7:3", "'model.hidden' is read by no selected model"},
      {"BadSave", kHead + kDense + "save: {weights: {form: zip}}\n", "7:24", "must be one of auto, csr, none"},
      {"UnknownSave", kHead + kDense + "save: {weight: {form: csr}}\n", "7:17", "unknown key 'save.weight.form'"},
      // composition
      {"WithUnknown", kHead + "  method: {name: snip, density: 1, with: {interspce: {}}}\n", "6:43",
       "unknown method 'interspce' in 'method.with'"},
      {"WithItself", kHead + "  method: {name: snip, density: 1, with: {snip: {density: 1}}}\n", "6:50",
       "'snip' is already the trial's method"},
      {"WithBadValue", kHead + "  method: {name: snip, density: 1, with: {compander: {a: 2}}}\n", "6:58",
       "'method.with.compander.a' must be in [0, 1], is 2"},
      {"WithUnreadKey", kHead + "  method: {name: snip, density: 1, with: {compander: {b: 2}}}\n", "6:55",
       "unknown key 'method.with.compander.b'"},
      {"WithMaybe", kHead + "  method: {name: snip, density: 1, with: {compander: maybe}}\n", "6:54",
       "must be on, off or a map of settings, is maybe"},
      // axes
      {"AxisScalar", kHead + kDense + "axes:\n  - train.lr: 0.1\n", "8:15", "an axis needs a list of values"},
      {"AxisEmpty", kHead + kDense + "axes:\n  - train.lr: []\n", "8:15", "has no values"},
      {"AxisIsAList", kHead + kDense + "axes:\n  - [1, 2]\n", "8:5", "an axis is a map"},
      {"AxisTwice", kHead + kDense + "axes:\n  - train.lr: [1]\n  - train.lr: [2]\n", "9:5",
       "'train.lr' is set by two axes, first in line 8"},
      {"AxisUnknownKey", kHead + kDense + "axes:\n  - train.lrr: [1, 2]\n", "8:5", "unknown key 'train.lrr'"},
      {"AxisUnread", kHead + kDense + "axes:\n  - method.density: [0.5]\n", "8:5",
       "'method.density' is not read by 'dense'"},
      {"AxisBadItem", kHead + kSnip + "axes:\n  - method.density: [0.5, 0, 0.1]\n", "8:27", "must be in (0, 1], is 0"},
      {"AxisMapItem", kHead + kSnip + "axes:\n  - method.density: [0.5, {a: 1}]\n", "8:27",
       "'method.density' must be a value or a list"},
      {"TwoKinds", kHead + kDense + "axes:\n  - {zip: {train.lr: [1]}, replicate: 3}\n", "8:28",
       "'replicate' must be an axis of its own"},
      {"ZipLengths", kHead + kDense + "axes:\n  - zip: {train.lr: [1, 2], train.batch: [1]}\n", "8:29",
       "zip needs lists of one length: 'train.batch' has 1, 'train.lr' has 2"},
      {"ZipList", kHead + kDense + "axes:\n  - zip: [1, 2]\n", "8:10", "'zip' is a map of lists"},
      {"ReplicateZero", kHead + kDense + "axes:\n  - replicate: 0\n", "8:16",
       "'replicate' must be in [1, 1000000], is 0"},
      {"ReplicateTwice", kHead + kDense + "axes:\n  - replicate: 2\n  - replicate: 2\n", "9:16", "set by two axes"},
      {"CaseWithoutName", kHead + kDense + "axes:\n  - cases: [{axes: []}]\n", "8:13", "a case needs a 'name'"},
      {"CaseUnknown", kHead + "axes:\n  - cases: [dense, rigel]\n", "7:20", "unknown method.name 'rigel'"},
      {"CaseAxisAgain", kHead + "axes:\n  - train.lr: [1]\n  - cases: [{name: dense, axes: [{train.lr: [2]}]}]\n",
       "8:35", "set by two axes"},
      {"CasesEmpty", kHead + kDense + "axes:\n  - cases: []\n", "8:12", "'cases' is a list"},
      {"SampleKind", kHead + kDense + "axes:\n  - sample: {kind: sobel, n: 2, space: {train.lr: {uniform: [1, 2]}}}\n",
       "8:20", "did you mean 'sobol'?"},
      {"SampleNoN", kHead + kDense + "axes:\n  - sample: {space: {train.lr: {uniform: [1, 2]}}}\n", "8:13",
       "'sample.n' is required"},
      {"SampleKeepOfSobol",
       kHead + kDense + "axes:\n  - sample: {n: 4, keep: [2], space: {train.lr: {uniform: [1, 2]}}}\n", "8:26",
       "'sample.keep' is for lhs"},
      {"SampleKeepNoMultiple",
       kHead + kDense + "axes:\n  - sample: {kind: lhs, n: 12, keep: [4, 6], space: {train.lr: {uniform: [1, 2]}}}\n",
       "8:38", "6 is none of 4"},
      {"SampleKeepAll",
       kHead + kDense + "axes:\n  - sample: {kind: lhs, n: 4, keep: [4], space: {train.lr: {uniform: [1, 2]}}}\n",
       "8:37", "4 is none of 4"},
      {"SampleKeepZero",
       kHead + kDense + "axes:\n  - sample: {kind: lhs, n: 4, keep: [0], space: {train.lr: {uniform: [1, 2]}}}\n",
       "8:37", "'sample.keep'"},
      {"SampleNoSpace", kHead + kDense + "axes:\n  - sample: {n: 3}\n", "8:13", "needs a 'space'"},
      {"SampleOption", kHead + kDense + "axes:\n  - sample: {n: 3, sed: 1, space: {train.lr: {uniform: [1, 2]}}}\n",
       "8:20", "unknown key; did you mean 'seed'?"},
      {"SampleDistribution", kHead + kDense + "axes:\n  - sample: {n: 3, space: {train.lr: {unifrm: [1, 2]}}}\n",
       "8:39", "unknown distribution 'unifrm'"},
      {"SampleBounds", kHead + kDense + "axes:\n  - sample: {n: 3, space: {train.lr: {uniform: [2, 1]}}}\n", "8:48",
       "low < high"},
      {"SampleLog", kHead + kDense + "axes:\n  - sample: {n: 3, space: {train.lr: {loguniform: [0, 1]}}}\n", "8:51",
       "'loguniform' needs low > 0"},
      {"SampleInt", kHead + kDense + "axes:\n  - sample: {n: 3, space: {train.batch: {int: [0.5, 2]}}}\n", "8:47",
       "two integers"},
      {"SamplePlainList", kHead + kDense + "axes:\n  - sample: {n: 3, space: {train.lr: [1, 2]}}\n", "8:38",
       "needs a distribution"},
      {"SampledOutOfRange", kHead + kDense + "axes:\n  - sample: {n: 3, space: {train.lr: {uniform: [20, 21]}}}\n",
       "8:28", "'train.lr' must be in (0, 10]"},
      // exclude
      {"ExcludeUnknown", kHead + kDense + "exclude:\n  - {method.densty: 1}\n", "8:6", "unknown key 'method.densty'"},
      {"ExcludeScalar", kHead + kDense + "exclude: [snip]\n", "7:11", "a rule is a map of settings"},
      {"ExcludeName", kHead + kDense + "exclude: [{method.name: snap}]\n", "7:25", "unknown method.name 'snap'"},
      {"ExcludeValue", kHead + kDense + "exclude: [{method.density: 2}]\n", "7:28", "must be in (0, 1], is 2"},
      {"ExcludeText", kHead + kDense + "exclude: [{train.optimizer: {ge: 1}}]\n", "7:29", "cannot be compared"},
      {"ExcludeComparison", kHead + kDense + "exclude: [{method.density: {gee: 0.5}}]\n", "7:29",
       "unknown comparison 'gee'"},
      {"ExcludeNoComparison", kHead + kDense + "exclude: [{method.density: {}}]\n", "7:28", "needs a comparison"},
      {"ReplicateMisspelt", kHead + kDense + "axes:\n  - replicte: 3\n", "8:5", "unknown key 'replicte'"},
      {"ExcludeBound", kHead + kDense + "exclude: [{train.lr: {ge: big}}]\n", "7:27", "must be a number, is big"},
  };
  return files;
}

class WrongFiles : public SweepFiles, public ::testing::WithParamInterface<Wrong> {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(::testing::TempDir()) / (std::string("winnow-wrong-") + GetParam().name);
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
};

TEST_P(WrongFiles, IsRefusedAtItsPlaceInPlainWords) {
  const std::string text = problems(GetParam().text);
  EXPECT_TRUE(text.starts_with("65\n")) << text;
  const std::string first = text.substr(3, text.find('\n', 3) - 3);
  EXPECT_TRUE(text.find(std::string("s.yaml:") + GetParam().place + ": error: ") != std::string::npos) << text;
  EXPECT_NE(first.find(GetParam().words), std::string::npos) << text;
}

INSTANTIATE_TEST_SUITE_P(All, WrongFiles, ::testing::ValuesIn(wrong_files()),
                         [](const auto& wrong) { return std::string(wrong.param.name); });

class ProblemText : public SweepFiles {};

TEST_F(ProblemText, ShowsTheLineTheMarkAndTheNearestKey) {
  EXPECT_EQ(problems(kHead + kDense + "axes:\n  - zip:\n      train.learning_rate: [0.1, 0.05, 0.01]\n"),
            "65\ns.yaml:9:7: error: unknown key 'train.learning_rate'\n"
            "    9 |       train.learning_rate: [0.1, 0.05, 0.01]\n"
            "      |       ^~~~~~~~~~~~~~~~~~~\n"
            "   did you mean 'train.lr'?   (winnow explain train.lr)");
}

TEST_F(ProblemText, AllProblemsAreReportedInTheFilesOrderAndOnce) {
  const std::string text = problems(kHead +
                                    "  train: {lr: x, batc: 3}\n"
                                    "  method: {name: dense}\n"
                                    "axes:\n"
                                    "  - cases: [dense, {name: snip, method.density: 7}, rigle]\n"
                                    "  - replicate: 4\n"
                                    "exclude: [{a: 1}]\n");
  std::vector<std::string> places;
  const std::regex place("s\\.yaml:(\\d+:\\d+): error");
  for (auto i = std::sregex_iterator(text.begin(), text.end(), place); i != std::sregex_iterator(); ++i) {
    places.push_back((*i)[1]);
  }
  EXPECT_EQ(places, (std::vector<std::string>{"6:15", "6:18", "9:49", "9:53", "11:12"})) << text;
}

TEST_F(ProblemText, AMisspeltSectionIsOneProblem) {
  const std::string text = problems(kHead + kDense + "  trian: {lr: 0.1, batch: 3, epochs: 1}\n");
  EXPECT_TRUE(text.starts_with("65\ns.yaml:7:11: error: unknown section 'trian'")) << text;
  EXPECT_TRUE(text.ends_with("did you mean 'train'?")) << text;
  EXPECT_EQ(std::count(text.begin(), text.end(), '^'), 1) << text;
}

TEST_F(ProblemText, WordsOfAxesAndRulesAreSuggested) {
  EXPECT_TRUE(problems(kHead + kDense + "axes:\n  - replicte: 3\n").ends_with("did you mean 'replicate'?"));
  EXPECT_TRUE(problems(kHead + kDense + "exclude: [{method.density: {gee: 0.5}}]\n").ends_with("did you mean 'ge'?"));
}

TEST_F(ProblemText, WhatOtherToolsCallOtherwiseIsPointedOut) {
  const auto said = [&](const std::string& text, const char* hint) {
    const std::string shown = problems(text);
    EXPECT_NE(shown.find(hint), std::string::npos) << shown;
  };
  for (const char* seed : {"  seed: 3\n", "seed: 3\n", "  train.seed: 3\n", "axes: [{seed: [1, 2]}]\n"}) {
    said(kHead + kDense + seed, "'- replicate: 3' under axes gives three");
  }
  said("data: {name: synthetic}\n" + kHead + kDense, "'data' belongs under 'trial:'");
  said(kHead + "axes:\n  - cases: [{name: snip, density: 0.1}]\n    key: method.name\n",
       "did you mean 'method.density'?");
  said("trial: {data: mnist, model: {name: vgg16}, method: {name: dense}}\n", "'data' is a map: 'data: {name: mnist}'");
  said(kHead + "axes: [{method: [dense, snip]}]\n", "'method' is a map: 'method: {name: dense}'");
}

TEST_F(ProblemText, TabsAreNamed) {
  EXPECT_TRUE(problems("trial:\n\ta: 1\n").ends_with("tabs cannot indent; use spaces"));
  EXPECT_EQ(problems("trial: {a: 1\n").find("tabs"), std::string::npos);
}

TEST_F(ProblemText, ACheckMayNameTheSettingToMend) {
  const TrialCheck check = [](const TrialSpec&) {
    return SettingProblem{"method.name", "train.lr: is not for this method"};
  };
  EXPECT_TRUE(problems(kHead + kDense + "  train.lr: 0.5\n", {.check = check})
                  .starts_with("65\ns.yaml:7:13: error: 'train.lr' is not for this method\n"));
}

TEST_F(ProblemText, HabitsOfOtherToolsAreToldWhatTheyAreCalledHere) {
  const auto said = [&](const std::string& lines) { return problems(kHead + kDense + lines); };
  const auto expect = [&](const std::string& lines, const std::string& words) {
    const std::string text = said(lines);
    EXPECT_NE(text.find(words), std::string::npos) << lines << text;
  };
  expect("  train: {schedule: cosine}\n", "'train.schedule' is a map: 'train.schedule: {kind: cosine}'");
  expect("  train: {schedule: 3}\n", "'train.schedule' is a map of kind, at, ");
  expect("  train: {gamma: 0.1}\n", "did you mean 'train.schedule.gamma'?");
  expect("  train: {amp: true}\n", "'train.precision' says what training computes in");
  expect("  train: {lr: [0.1, 0.2]}\n", "write an axis: 'axes: [{train.lr: [0.1, 0.2]}]'");
  expect("  train: {shedule: Cosine}\n", "'train.schedule' is a map: 'train.schedule: {kind: cosine}'");
  expect("save: {form: csr}\n", "did you mean 'save.weights.form'?");
  for (const char* nothing :
       {"  train: {gpus: 1}\n", "  train: {name: sgd}\n", "  train: {freeze_at: 1}\n", "  train: {lr: []}\n"}) {
    EXPECT_EQ(said(nothing).find("did you mean"), std::string::npos) << said(nothing);
  }
  EXPECT_NE(problems(kHead + "  method: {name: [snip, rigl]}\n").find("'axes: [{method.name: [snip, rigl]}]'"),
            std::string::npos);
}

TEST_F(ProblemText, AWrongAxisDoesNotMakeFollowOnProblems) {
  const std::string text = problems(kHead + "axes:\n  - cases: [{name: snip, axes: [{method.density: 0.1}]}]\n");
  EXPECT_EQ(std::count(text.begin(), text.end(), '^'), 1) << text;
}

TEST_F(ProblemText, ProblemsOfABaseFileAreShownThere) {
  write("base.yaml", "trial:\n  train.lrr: 1\n");
  EXPECT_NE(problems("extends: base.yaml\n" + kHead + kDense).find("base.yaml:2:3: error: unknown key"),
            std::string::npos);
}

TEST_F(ProblemText, CyclesOfExtendsAreFound) {
  write("a.yaml", "extends: s.yaml\n");
  EXPECT_NE(problems("extends: a.yaml\n" + kHead + kDense).find("a.yaml:1:10: error: 's.yaml' extends itself"),
            std::string::npos);
}

TEST_F(ProblemText, FilesThatExtendTheNextTwiceAreNotReadWithoutEnd) {
  for (int i = 0; i < 40; ++i) {
    write(fmt::format("f{}.yaml", i), fmt::format("extends: [f{0}.yaml, f{0}.yaml]\n", i + 1));
  }
  write("f40.yaml", "trial: {train.lr: 1}\n");
  const std::string text = problems("extends: f0.yaml\n" + kHead + kDense);
  EXPECT_NE(text.find("'extends' leads to more than 256 files"), std::string::npos) << text;
}

TEST_F(ProblemText, AValueWithoutEndIsShortened) {
  const std::string text = problems("trial:\n  model: {name: " + std::string(10'000'000, 'x') + "}\n");
  EXPECT_LT(text.size(), 10'000u);
  EXPECT_NE(text.find("unknown model.name 'xxx"), std::string::npos);
  EXPECT_NE(text.find("known: "), std::string::npos);
}

TEST_F(ProblemText, TwentyThousandMistakesAreAScreenful) {
  std::string lines, one_line = "trial: {";
  for (int i = 0; i < 20'000; ++i) {
    lines += fmt::format("  nonsense{}: 1\n", i);
    one_line += fmt::format("nonsense{}: 1, ", i);
  }
  const std::string many = problems(kHead + kDense + lines);
  EXPECT_TRUE(many.ends_with("and 19980 more")) << many.substr(many.size() - 200);
  EXPECT_LT(many.size(), 20'000u);
  EXPECT_LT(problems(one_line + "}\n").size(), 20'000u) << "a line of half a megabyte is not shown twenty times";
}

TEST_F(ProblemText, OfALongLineThePartAroundTheMistakeIsShown) {
  const std::string filler(300, ' ');
  const std::string text = problems(kHead + "  method: {name: dense}\n  train:" + filler + "{lrr: 1}" + filler + "\n");
  EXPECT_NE(text.find("{lrr: 1}"), std::string::npos) << text;
  const std::size_t mark = text.find('^'), line = text.rfind('\n', mark), above = text.rfind('\n', line - 1);
  EXPECT_EQ(text.substr(above + (mark - line), 3), "lrr") << text;
}

TEST_F(ProblemText, ArgumentsNameThemselves) {
  const std::string text = kHead + kDense;
  EXPECT_EQ(problems(text, {.set = {"train.lr=x"}}), "65\n--set train.lr=x: error: 'train.lr' must be a number, is x");
  EXPECT_EQ(problems(text, {.set = {"train.lrr=1"}}),
            "65\n--set train.lrr=1: error: unknown key 'train.lrr'\n"
            "   did you mean 'train.lr'?   (winnow explain train.lr)");
  EXPECT_EQ(problems(text, {.set = {"train.lr"}}), "64\n--set needs key=value, got 'train.lr'");
  EXPECT_EQ(problems(text, {.only = {"method.name=snap"}}),
            "65\n--only method.name=snap: error: unknown method.name 'snap'\n   did you mean 'snip'?");
  EXPECT_TRUE(problems(text, {.only = {"method.name=snip"}}).starts_with("64\n"));
  EXPECT_NE(problems(kHead + "axes: [{cases: [dense]}]\n", {.set = {"method.name=snip"}}).find("use --only"),
            std::string::npos);
}

TEST_F(ProblemText, AMissingFileIsAnInputError) {
  try {
    load_sweep(folder_ / "none.yaml", small_catalog());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Input);
  }
}

}  // namespace
}  // namespace winnow::test
