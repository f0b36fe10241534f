#include "experiments/report/report.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>

#include "experiments/catalog.h"
#include "experiments/cli/verbs.h"
#include "experiments/report/columns.h"
#include "experiments/report/text_table.h"
#include "experiments/results/container.h"
#include "experiments/results/plan_file.h"
#include "experiments/results/trial_file.h"
#include "experiments/text.h"
#include "tests/results/sample_sweep.h"
#include "tests/results/samples.h"

namespace winnow::test {
namespace {

TEST(Statistics, IntervalMatchesSpecificationOracle) {
  const double values[] = {92.1, 92.5, 92.3};
  const Sample sample = describe(values);
  EXPECT_NEAR(sample.mean, 92.3, 1e-12);
  EXPECT_NEAR(*sample.deviation, 0.2, 1e-12);
  EXPECT_NEAR(*sample.half_width, 0.496828, 5e-7);
  EXPECT_NEAR(student_t(2), 4.3027, 5e-5);
  EXPECT_NEAR(student_t(4), 2.7764, 5e-5);
  EXPECT_NEAR(student_t(9), 2.2622, 5e-5);
}

TEST(Statistics, FewValuesHaveNoInterval) {
  const double values[] = {1, 3};
  EXPECT_FALSE(describe(std::span(values, 0)).deviation);
  EXPECT_FALSE(describe(std::span(values, 1)).deviation);
  EXPECT_NEAR(*describe(values).deviation, std::sqrt(2.0), 1e-12);
  EXPECT_FALSE(describe(values).half_width);
}

std::string report_of(const std::filesystem::path& out, std::vector<std::string> args) {
  args.insert(args.begin(), out.string());
  std::ostringstream text, errors;
  EXPECT_EQ(run_report(args, text, errors), 0);
  EXPECT_EQ(errors.str(), "");
  return text.str();
}

class Report : public ::testing::Test {
 protected:
  void SetUp() override {
    PosixFiles files;
    write_sample_sweep(files, folder_.path());
  }
  // The expected screens are beside this file; WINNOW_GOLDEN=write in the environment renews them.
  void expect_golden(const std::string& name, const std::vector<std::string>& args) {
    const auto path = std::filesystem::path(WINNOW_SOURCE_DIR) / "tests/results/golden" / name;
    const std::string text = report_of(folder_.path(), args);
    const char* mode = std::getenv("WINNOW_GOLDEN");
    if (mode != nullptr && std::string(mode) == "write") std::ofstream(path) << text;
    std::ifstream expected(path);
    const std::string wanted((std::istreambuf_iterator<char>(expected)), {});
    EXPECT_EQ(text, wanted);
  }
  TemporaryFolder folder_;
};

TEST_F(Report, TextIsAsExpected) { expect_golden("report.txt", {"--trials"}); }
TEST_F(Report, WideTextIsAsExpected) { expect_golden("report_wide.txt", {"--wide"}); }
TEST_F(Report, MarkdownIsAsExpected) { expect_golden("report.md", {"--markdown"}); }
TEST_F(Report, CsvIsAsExpected) { expect_golden("report.csv", {"--csv"}); }
TEST_F(Report, LatexIsAsExpected) { expect_golden("report.tex", {"--latex"}); }
TEST_F(Report, JsonIsAsExpected) { expect_golden("report.json", {"--json"}); }

TEST_F(Report, TrialsOfDifferentPrecisionInOneTableAreSaid) {
  PosixFiles files;
  Survey survey = gather_survey(files, folder_.path());
  EXPECT_TRUE(compare(survey).groups[0].notes.empty());
  const std::size_t rows = rows_of(survey.trials);
  std::vector<std::string> precision(rows, "f32");
  for (std::size_t row = 0; row < rows; row += 2) precision[row] = "bf16";
  survey.trials.columns.push_back({"provenance.precision", precision});
  const auto groups = compare(survey).groups;
  ASSERT_EQ(groups[0].notes.size(), 1u);
  EXPECT_NE(groups[0].notes[0].find("bf16"), std::string::npos);
  EXPECT_EQ(groups.size(), compare(gather_survey(files, folder_.path())).groups.size())
      << "provenance is no setting that splits tables";
}

TEST_F(Report, TrialsWithStatisticsFromConvolutionsBesideOthersAreSaid) {
  PosixFiles files;
  Survey survey = gather_survey(files, folder_.path());
  const std::size_t rows = rows_of(survey.trials);
  std::vector<std::string> fused(rows);
  for (std::size_t row = 0; row < rows; row += 2) fused[row] = "0 of 19";
  survey.trials.columns.push_back({"provenance.statistics.fused", fused});
  EXPECT_TRUE(compare(survey).groups[0].notes.empty()) << "none was";
  for (std::size_t row = 0; row < rows; row += 2) fused[row] = "17 of 19";
  survey.trials.columns.back() = {"provenance.statistics.fused", fused};
  const auto groups = compare(survey).groups;
  ASSERT_EQ(groups[0].notes.size(), 1u);
  EXPECT_NE(groups[0].notes[0].find(" convolutions"), std::string::npos) << groups[0].notes[0];
}

TEST_F(Report, OnlyChoosesRowsAsRunDoesAndKeepsTheirBaseline) {
  PosixFiles files;
  const Survey survey = gather_survey(files, folder_.path());
  const auto rows = [&](const std::vector<std::string>& only) {
    std::string labels;
    for (const ComparisonGroup& group : compare(survey, only).groups) {
      for (const ComparisonRow& row : group.rows) labels += row.label() + (row.gap ? " with gap; " : "; ");
    }
    return labels;
  };
  EXPECT_EQ(rows({"method.name=rigl"}), "rigl 0.1 (alpha=0.3) with gap; rigl 0.1 (alpha=0.5) with gap; ");
  EXPECT_EQ(rows({"method.alpha=0.30000000000000000"}), "rigl 0.1 with gap; ");
  EXPECT_EQ(rows({"method.name=[dense, snip]", "method.density={lt: 0.5}"}), "snip 0.02 with gap; ");
  EXPECT_EQ(rows({"method.name=dense"}), "dense 1; ");
  EXPECT_EQ(rows({"train.lr=0.2"}), "");

  const Comparison rigl = compare(survey, {"method.name=rigl"});
  EXPECT_EQ(std::tuple(rigl.planned, rigl.done, rigl.diverged.size(), rigl.missing.size()), std::tuple(6u, 6u, 0u, 0u));
  // A plan leaves defaults out.
  const Comparison all = compare(survey, {"train.optimizer=sgd"});
  EXPECT_EQ(std::tuple(all.planned, all.done, all.diverged.size(), all.missing.size()), std::tuple(13u, 10u, 1u, 2u));
  const Comparison snip = compare(survey, {"method.name=snip", "method.density=0.05"});
  EXPECT_EQ(std::tuple(snip.planned, snip.done, snip.missing.size()), std::tuple(1u, 0u, 1u));

  const std::string text = report_of(folder_.path(), {"--only", "method.name=rigl"});
  EXPECT_NE(text.find("; only method.name=rigl\n"), std::string::npos) << text;
  EXPECT_EQ(report_of(folder_.path(), {"--json", "--only", "method.name=rigl"}).find("snip"), std::string::npos);
  std::ostringstream out, errors;
  for (const auto& [wrong, words] : {std::pair{"method.nam=rigl", "did you mean 'method.name'?"},
                                     {"method.name=rgil", "did you mean 'rigl'?"},
                                     {"rigl", "--only needs key=value"},
                                     {"train.lr=0.2", "--only train.lr=0.2: none of 13 trials matches"}}) {
    try {
      run_report(std::vector<std::string>{folder_.path().string(), "--only", wrong}, out, errors);
      ADD_FAILURE() << wrong;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(words), std::string::npos) << error.what();
    }
  }
}

// A folder of results that began with start files.
class ReportOfStarts : public ::testing::Test {
 protected:
  void add(int number, const char* method, const char* density, double accuracy, const char* start,
           const char* path = "start.h5", int replicate = 0) {
    TrialResult trial = sample_trial(number, method, density, replicate, accuracy);
    trial.spec.settings.set("init.from", path);
    trial.lineage["start.digest"] = start;
    publish(files_, folder_.path(), trial, kCreated);
  }
  std::vector<ComparisonRow> rows() {
    write_plan(files_, folder_.path(), std::vector<PlannedTrial>{});
    const Comparison comparison = compare(gather_survey(files_, folder_.path()));
    return comparison.groups.size() == 1 ? comparison.groups[0].rows : std::vector<ComparisonRow>{};
  }
  TemporaryFolder folder_;
  PosixFiles files_;
};

TEST_F(ReportOfStarts, AFileThatWasReplacedUnderItsPathIsAnotherStart) {
  add(1, "dense", "1", 0.9, "aaaaaaaaaa");
  add(2, "dense", "1", 0.8, "bbbbbbbbbb");
  add(3, "rigl", "0.1", 0.85, "bbbbbbbbbb");
  const auto all = rows();
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0].label(), "dense 1 (start=aaaaaaaa)");
  EXPECT_EQ(all[1].label(), "dense 1 (start=bbbbbbbb)");
  EXPECT_NEAR(all[2].gap->mean, 0.05, 1e-12) << "to the dense trial that started where it did";
}

TEST_F(ReportOfStarts, ADenseTrialOfAnotherStartIsNoBaseline) {
  add(1, "dense", "1", 0.9, "aaaaaaaaaa");
  add(3, "rigl", "0.1", 0.85, "bbbbbbbbbb");
  const auto all = rows();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_FALSE(all[1].gap);
}

TEST_F(ReportOfStarts, TheSameContentUnderAnotherPathIsTheSameStart) {
  add(1, "dense", "1", 0.9, "aaaaaaaaaa", "start.h5", 0);
  add(1, "dense", "1", 0.8, "aaaaaaaaaa", "copy/start.h5", 1);
  const auto all = rows();
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].replicates.size(), 2u);
  EXPECT_EQ(all[0].label(), "dense 1");
}

TEST_F(Report, OnlyChoosesTrialsByWhatIsNoPartOfTheirIdentity) {
  PosixFiles files;
  Survey survey = gather_survey(files, folder_.path());
  const std::size_t rows = rows_of(survey.trials);
  std::vector<std::string> label(rows, "first");
  for (std::size_t row = 0; row < rows; ++row) {
    if (cell_text(survey.trials, "replicate", row) != "0") label[row] = "later";
  }
  survey.trials.columns.push_back({"label", label, "", kSettingColumn});
  const Comparison first = compare(survey, {"label=first"});
  EXPECT_EQ(first.done, 4u);
  for (const ComparisonRow& row : first.groups.at(0).rows) EXPECT_EQ(row.replicates, std::vector<std::int64_t>{0});
  EXPECT_EQ(first.missing.size(), survey.missing.size()) << "a plan does not say what its trials are called";
}

TEST_F(Report, ASettingMayHaveTheNameOfASummaryValue) {
  PosixFiles files;
  TrialResult imp = sample_trial(7, "imp", "0.1", 0, 0.9);
  imp.spec.settings.set("method.levels", "3");
  imp.summary["method.levels"] = 2;
  publish(files, folder_.path(), imp, kCreated);
  collect_survey(files, folder_.path(), folder_.path() / "s.h5", SurveyWeights::Link);
  const Survey back = read_survey(files, folder_.path() / "s.h5");
  EXPECT_NE(find_column(back.trials, "setting.method.levels"), nullptr);
  const auto groups = compare(back).groups;
  const auto row = std::ranges::find(groups.at(0).rows, "imp", &ComparisonRow::method);
  ASSERT_NE(row, groups[0].rows.end());
  EXPECT_EQ(row->means.at("method.levels"), 2);
  EXPECT_EQ(compare(back, {"method.levels=3"}).done, 1u);
}

// The survey of the sample with data that the results name by a digest and by a path.
Survey with_data(Survey survey, const std::vector<std::string>& digests, const std::vector<std::string>& roots) {
  const std::size_t rows = rows_of(survey.trials);
  std::vector<std::string> digest, root;
  for (std::size_t row = 0; row < rows; ++row) {
    digest.push_back(digests[row % digests.size()]);
    root.push_back(roots[row % roots.size()]);
  }
  survey.trials.columns.push_back({"provenance.data.digest", digest});
  survey.trials.columns.push_back({"data.root", root, "", kSettingColumn});
  return survey;
}

TEST_F(Report, TheSameDataInTwoFoldersAreOneTable) {
  PosixFiles files;
  const Survey survey = gather_survey(files, folder_.path());
  const Comparison one = compare(with_data(survey, {"aaaa"}, {"/scratch/1", "/scratch/2"}));
  ASSERT_EQ(one.groups.size(), 1u);
  EXPECT_EQ(one.groups[0].title, "lenet300 on mnist");
  EXPECT_TRUE(one.groups[0].rows[1].gap);
}

TEST_F(Report, OtherDataInTheSameFolderAreAnotherTableThatSaysSo) {
  PosixFiles files;
  const Survey survey = gather_survey(files, folder_.path());
  const Comparison two = compare(with_data(survey, {"aaaaaaaaaa", "bbbbbbbbbb"}, {"/data"}));
  ASSERT_EQ(two.groups.size(), 2u);
  EXPECT_EQ(two.groups[0].title, "lenet300 on mnist (data aaaaaaaa)");
  EXPECT_EQ(two.groups[1].title, "lenet300 on mnist (data bbbbbbbb)");
  EXPECT_NE(two.groups[0].notes.at(0).find("different data go by the name mnist"), std::string::npos);
}

TEST_F(Report, ARowWithoutABaselineAndMissingPairsAreSaid) {
  PosixFiles files;
  Survey survey = gather_survey(files, folder_.path());
  auto& states =
      std::get<std::vector<std::string>>(std::ranges::find(survey.trials.columns, "state", &Column::name)->values);
  ASSERT_EQ(cell_text(survey.trials, "name", 1), "a1000000000000000001-r1");
  states[1] = "diverged";  // one of three dense ones
  ComparisonGroup group = compare(survey).groups[0];
  ASSERT_TRUE(group.rows[1].gap);
  EXPECT_EQ(group.rows[1].gap->count, 2u);
  EXPECT_EQ(group.rows[1].alone, std::vector<std::int64_t>{1});
  ASSERT_EQ(group.notes.size(), 1u);
  EXPECT_EQ(group.notes[0],
            "pairs with the dense row are missing: rigl 0.1 (alpha=0.3) has 2 of 3 (without r1); rigl 0.1 (alpha=0.5) "
            "has 2 of 3 (without r1)");
  const auto column = std::ranges::find(data_columns(), "gap_pairs", &DataColumn::key);
  EXPECT_EQ(column->cell(group.rows[1]), "2");
  states[0] = states[2] = "diverged";
  group = compare(survey).groups[0];
  EXPECT_EQ(group.notes, std::vector<std::string>{"no dense trial is finished, so there are no gaps"});
}

TEST_F(Report, DefaultsOfCombinedMethodsAreNotInTheNameOfARow) {
  PosixFiles files;
  for (const auto& [number, sharing] : {std::pair{7, "fine"}, {8, "coarse"}}) {
    TrialResult trial = sample_trial(number, "snip", "0.1", 0, 0.9);
    const Component& interspace = *std::ranges::find(catalog().methods, "interspace", &Component::name);
    trial.spec.settings.set("method.with.interspace", "on");
    for (const Setting& setting : interspace.schema) {
      const bool chosen = setting.key == "sharing";
      trial.spec.settings.set("method.with.interspace." + setting.key,
                              chosen ? sharing : setting.fallback.value_or(""));
    }
    publish(files, folder_.path(), trial, kCreated);
  }
  std::set<std::string> settings;
  const ComparisonGroup group = compare(gather_survey(files, folder_.path())).groups[0];
  for (const ComparisonRow& row : group.rows) settings.insert(row.settings);
  EXPECT_TRUE(settings.contains("with interspace")) << fmt::format("{}", fmt::join(settings, "; "));
  EXPECT_TRUE(settings.contains("with interspace, interspace.sharing=coarse"))
      << fmt::format("{}", fmt::join(settings, "; "));
}

TEST_F(Report, SettingsThatAreNumbersAreNumbersInTheSurvey) {
  PosixFiles files;
  const Survey survey = gather_survey(files, folder_.path());
  const auto density = std::ranges::find(survey.trials.columns, "method.density", &Column::name);
  const auto* values = std::get_if<std::vector<double>>(&density->values);
  ASSERT_NE(values, nullptr);
  EXPECT_EQ(std::ranges::count_if(*values, [](double d) { return std::isnan(d); }), 3) << "dense has no density";
  EXPECT_EQ(std::ranges::count(*values, 0.1), 6);
  EXPECT_TRUE(std::holds_alternative<std::vector<std::string>>(
      std::ranges::find(survey.trials.columns, "method.name", &Column::name)->values));
}

TEST_F(Report, ColumnsAreChosenByEitherKeyAndInOrder) {
  const auto first_line = [&](std::vector<std::string> args) {
    const std::string text = report_of(folder_.path(), std::move(args));
    return text.substr(0, text.find('\n'));
  };
  EXPECT_EQ(first_line({"--csv", "--columns", "id,test,gap_pairs"}), "group,id,test_acc_mean,gap_pairs");
  std::ostringstream nothing;
  const std::vector<std::string> misspelt = {folder_.path().string(), "--columns", "tset"};
  EXPECT_THROW(run_report(misspelt, nothing, nothing), Error);
  EXPECT_EQ(nothing.str(), "") << "a wrong column is said before anything is written";
  const std::string text = report_of(folder_.path(), {"--columns", "density,method,compression"});
  EXPECT_NE(text.find("\ndensity  method  compr\n      1  dense       1\n    0.1  rigl       10\n"), std::string::npos)
      << text;
  std::ostringstream out, err;
  const std::vector<std::string> wrong = {"report", folder_.path().string(), "--columns", "densty"};
  EXPECT_EQ(run_command_line(wrong, out, err), 64);
  EXPECT_NE(err.str().find("no column 'densty'; did you mean 'density'?"), std::string::npos) << err.str();
}

TEST_F(Report, RowsAreSortedByAnyColumn) {
  const auto order = [&](const std::string& sort) {
    std::istringstream lines(report_of(folder_.path(), {"--csv", "--columns", "method,density", "--sort=" + sort}));
    std::string line, all;
    std::getline(lines, line);
    while (std::getline(lines, line)) all += line.substr(line.find(',') + 1) + " ";
    return all;
  };
  EXPECT_EQ(order("test"), "snip,0.02 rigl,0.1 rigl,0.1 dense,1 ");
  EXPECT_EQ(order("-test_acc_mean"), "dense,1 rigl,0.1 rigl,0.1 snip,0.02 ");
  EXPECT_EQ(order("-gap"), "rigl,0.1 rigl,0.1 snip,0.02 dense,1 ") << "rows without a value come last";
}

TEST_F(Report, TheBestAtEachDensityStandsOutAndTheLatexTableFitsAPage) {
  EXPECT_NE(report_of(folder_.path(), {"--markdown"}).find("| **92.30 ± 0.20** |"), std::string::npos);
  const std::string latex = report_of(folder_.path(), {"--latex"});
  EXPECT_NE(latex.find("\\textbf{92.30 $\\pm$ 0.20}"), std::string::npos) << latex;
  EXPECT_NE(latex.find("\\label{tab:lenet300-on-mnist}"), std::string::npos);
  EXPECT_NE(latex.find("$-$0.93"), std::string::npos);
  EXPECT_EQ(latex.find("resizebox"), std::string::npos) << "what fits is not scaled";
  EXPECT_NE(report_of(folder_.path(), {"--latex", "--wide"}).find("\\resizebox{\\linewidth}{!}{%"), std::string::npos);
}

TEST_F(Report, AnotherVersionOfAMethodIsAnotherRowAndNoReplicate) {
  PosixFiles files;
  Survey survey = gather_survey(files, folder_.path());
  const std::size_t before = compare(survey).groups[0].rows.size();
  const auto column = std::ranges::find(survey.trials.columns, "id", &Column::name);
  auto& ids = std::get<std::vector<std::string>>(column->values);
  const std::string id = compare(survey).groups[0].rows[0].id;
  ASSERT_GT(std::ranges::count(ids, id), 1) << "the sample needs replicates of its first row";
  *std::ranges::find(ids, id) = "0123456789abcdef0123";
  const ComparisonGroup group = compare(survey).groups[0];
  EXPECT_EQ(group.rows.size(), before + 1);
  EXPECT_TRUE(std::ranges::any_of(group.notes, [](const std::string& note) {
    return note.find("another version") != std::string::npos;
  })) << fmt::format("{}", fmt::join(group.notes, "\n"));
}

TEST_F(Report, TextFitsTheScreen) {
  std::istringstream lines(report_of(folder_.path(), {}));
  std::string line;
  while (std::getline(lines, line)) {
    if (line.find(':') == std::string::npos) {
      EXPECT_LE(display_width(line), 120u) << line;
    }
  }
}

TEST_F(Report, TheSurveyFileAndTheDirectoryGiveTheSameReport) {
  std::ostringstream text, errors;
  const std::vector<std::string> args = {folder_.path().string()};
  ASSERT_EQ(run_collect(args, text, errors), 0);
  for (const char* form : {"--csv", "--json", "--markdown"}) {
    EXPECT_EQ(report_of(folder_.path() / "survey.h5", {form}), report_of(folder_.path(), {form}));
  }
}

TEST_F(Report, RowsAreComparedWithTheDenseBaselineByReplicate) {
  PosixFiles files;
  const Comparison comparison = compare(gather_survey(files, folder_.path()));
  ASSERT_EQ(comparison.groups.size(), 1u);
  const auto& rows = comparison.groups[0].rows;
  ASSERT_EQ(rows.size(), 4u);
  EXPECT_EQ(rows[0].method, "dense");
  EXPECT_FALSE(rows[0].gap);
  EXPECT_EQ(rows[1].settings, "alpha=0.3");
  ASSERT_TRUE(rows[1].gap && rows[1].paired);
  EXPECT_NEAR(rows[1].gap->mean, -0.028 / 3, 1e-12);  // -.010, -.009, -.009
  EXPECT_NEAR(*rows[1].gap->deviation, 0.000577350269, 1e-11);
  EXPECT_EQ(rows[2].settings, "alpha=0.5");
  EXPECT_EQ(rows[3].method, "snip");
  EXPECT_EQ(rows[3].test_acc.count, 1u);
  EXPECT_EQ(rows[3].diverged, 1u);
  EXPECT_NEAR(rows[3].gap->mean, -0.051, 1e-12);
}

TEST_F(Report, DifferentTrainingRecipesAreDifferentTables) {
  PosixFiles files;
  TrialResult longer = sample_trial(9, "rigl", "0.1", 0, 0.95);
  longer.spec.settings.set("train.epochs", "30");
  publish(files, folder_.path(), longer, kCreated);
  const Comparison comparison = compare(gather_survey(files, folder_.path()));
  ASSERT_EQ(comparison.groups.size(), 2u);
  EXPECT_EQ(comparison.groups[0].title, "lenet300 on mnist, train.epochs=3");
  EXPECT_EQ(comparison.groups[1].title, "lenet300 on mnist, train.epochs=30");
  EXPECT_FALSE(comparison.groups[1].rows[0].gap) << "a baseline of another recipe is none";
}

TEST(TextTable, ANarrowScreenLosesTheLeastImportantColumns) {
  const TextTable table{{{"a", false, 0, {"xxxx"}}, {"b", true, 1, {"yyyy"}}, {"c", true, 5, {"zzzz"}}}};
  EXPECT_EQ(table.fitted(16).columns.size(), 3u);
  EXPECT_EQ(table.fitted(15).columns.size(), 2u);
  EXPECT_EQ(table.fitted(15).columns[1].title, "b");
  EXPECT_EQ(table.fitted(1).columns.size(), 1u);
}

TEST(TextTable, CellsOfOtherFormatsAreQuoted) {
  EXPECT_EQ(csv_cell("a,\"b\""), "\"a,\"\"b\"\"\"");
  std::ostringstream latex;
  TextTable{{{"x_1", true, 0, {"5 ± 1 %"}}}}.latex(latex, "a & b", "tab:x");
  EXPECT_NE(latex.str().find("5 $\\pm$ 1 \\%"), std::string::npos);
  EXPECT_NE(latex.str().find("x\\_1"), std::string::npos);
  EXPECT_NE(latex.str().find("a \\& b"), std::string::npos);
}

}  // namespace
}  // namespace winnow::test
