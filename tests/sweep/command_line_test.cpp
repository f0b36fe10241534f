// The verbs as a user types them, on the catalog of this build.
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "experiments/cli/verbs.h"
#include "experiments/methods/registry.h"
#include "tests/said.h"
#include "tests/sweep/sweep_fixture.h"

namespace winnow::test {
namespace {

const std::filesystem::path kRoot = WINNOW_SOURCE_DIR;

std::string example(const char* name) { return (kRoot / "examples" / name).string(); }

class CommandLine : public SweepFiles {};

TEST_F(CommandLine, ExamplesOfTheRepositoryAreValid) {
  int sweeps = 0;
  for (const auto& file : std::filesystem::directory_iterator(kRoot / "examples")) {
    if (file.path().extension() != ".yaml") continue;
    const Said said = winnow({"plan", file.path().string(), "-o", folder_.string()});
    EXPECT_EQ(said.code, 0) << said.err;
    EXPECT_EQ(said.out.find("matches no trial"), std::string::npos) << said.out;
    ++sweeps;
  }
  EXPECT_GE(sweeps, 3);
}

TEST_F(CommandLine, TheCommandThatAPlanShowsCanBePastedIntoAShell) {
  const Said said =
      winnow({"plan", example("first.yaml"), "--set", "train.lr=[0.3, 0.4]", "-o", (folder_ / "it's").string()});
  ASSERT_EQ(said.code, 0) << said.err;
  EXPECT_NE(said.out.find("next   winnow run " + example("first.yaml") + " --set 'train.lr=[0.3, 0.4]' -o '" +
                          folder_.string() + "/it'\\''s'\n"),
            std::string::npos)
      << said.out;
}

TEST_F(CommandLine, ARunWithoutEndIsRefusedAndNotPlanned) {
  const Said said =
      winnow({"plan", example("first.yaml"), "--set", "train.epochs=999999999999ep", "-o", folder_.string()});
  EXPECT_EQ(said.code, 65);
  EXPECT_NE(said.err.find("'train.epochs' is "), std::string::npos) << said.err;
  EXPECT_NE(said.err.find(" steps; 1000000000 at most"), std::string::npos) << said.err;
}

TEST_F(CommandLine, WhatCannotBeDrawnIsRefusedBeforeAnythingIsRead) {
  const Said said = winnow({"report", (folder_ / "none.h5").string(), "--plot", "picture.bmp"});
  EXPECT_EQ(said.code, 64);
  EXPECT_NE(said.err.find("must end in .svg, .pdf or .png"), std::string::npos) << said.err;
  EXPECT_EQ(said.out, "");
}

// README promises it of examples/methods.yaml.
TEST_F(CommandLine, AnExampleHasEveryMethod) {
  const Said said = winnow({"plan", example("methods.yaml"), "--json", "-o", folder_.string()});
  ASSERT_EQ(said.code, 0) << said.err;
  const auto plan = nlohmann::json::parse(said.out);
  std::set<std::string> shown;
  for (const auto& trial : plan["trials"]) shown.insert(trial["settings"]["method.name"]);
  for (const MethodDef& def : methods()) EXPECT_TRUE(shown.contains(def.name)) << def.name;
}

TEST_F(CommandLine, ThePageOfMethodsIsWhatTheSchemasSay) {
  std::ifstream page(kRoot / "docs" / "methods.md");
  const std::string text((std::istreambuf_iterator<char>(page)), {});
  EXPECT_EQ(winnow({"methods", "--markdown"}).out, text) << "winnow methods --markdown > docs/methods.md";
}

TEST_F(CommandLine, PlanCountsPricesAndWritesNothing) {
  const Said said = winnow({"plan", example("first.yaml"), "--json", "-o", (folder_ / "out").string()});
  ASSERT_EQ(said.code, 0) << said.err;
  const auto plan = nlohmann::json::parse(said.out);
  ASSERT_EQ(plan["trials"].size(), 34u);
  std::set<std::string> names;
  for (const auto& trial : plan["trials"]) {
    names.insert(trial["name"]);
    EXPECT_GT(trial["params"], 200000);
    EXPECT_GT(trial["seconds"], 0);
    EXPECT_FALSE(trial["done"]);
  }
  EXPECT_EQ(names.size(), 34u);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "out"));
}

TEST_F(CommandLine, MistakesAreOneLineWithTheirExitCode) {
  EXPECT_EQ(winnow({}).code, 64);
  const Said verb = winnow({"pln"});
  EXPECT_EQ(verb.code, 64);
  EXPECT_EQ(verb.err, "winnow: error: unknown verb 'pln'; did you mean 'plan'?   (winnow --help lists all)\n");
  EXPECT_EQ(winnow({"plan"}).code, 64);
  EXPECT_EQ(winnow({"plan", "a.yaml", "b.yaml"}).code, 64);
  EXPECT_EQ(winnow({"plan", "--smok", "a.yaml"}).code, 64);
  EXPECT_EQ(winnow({"run", example("first.yaml"), "--threads", "-1"}).code, 64);
  EXPECT_EQ(winnow({"plan", (folder_ / "none.yaml").string()}).code, 66);
  const Said file = winnow({"plan", write("x.yaml", "trial: {train.learning_rate: 1}\n").string()});
  EXPECT_EQ(file.code, 65);
  EXPECT_NE(file.err.find("x.yaml:1:9: error: unknown key 'train.learning_rate'"), std::string::npos);
  EXPECT_NE(file.err.find("did you mean 'train.lr'?"), std::string::npos);
  const Said density = winnow({"plan", example("first.yaml"), "--set", "train.batch=0"});
  EXPECT_EQ(density.code, 65);
  EXPECT_TRUE(density.err.starts_with("--set train.batch=0: error: 'train.batch' must be")) << density.err;
}

TEST_F(CommandLine, EveryComponentIsListedAndShown) {
  const auto each = [](const char* verb, const std::vector<Component>& components) {
    const Said all = winnow({verb});
    const auto json = nlohmann::json::parse(winnow({verb, "--json"}).out);
    EXPECT_EQ(json[verb].size(), components.size());
    const Said page = winnow({verb, "--markdown"});
    for (const Component& component : components) {
      EXPECT_NE(all.out.find(component.name), std::string::npos);
      EXPECT_NE(page.out.find("\n## " + component.name + "\n"), std::string::npos);
      const Said one = winnow({verb, component.name});
      EXPECT_EQ(one.code, 0);
      for (const Setting& setting : component.schema) {
        EXPECT_NE(one.out.find("." + setting.key), std::string::npos) << component.name;
        EXPECT_FALSE(setting.meaning.empty()) << component.name << " " << setting.key;
      }
    }
    EXPECT_EQ(winnow({verb, "no-such-thing"}).code, 64);
  };
  each("methods", catalog().methods);
  each("models", catalog().models);
  each("datasets", catalog().datasets);
}

// A default that its own schema refuses would make every sweep with it fail.
TEST_F(CommandLine, DefaultsOfThisBuildPassTheirOwnChecks) {
  std::vector<std::pair<std::string, const Schema*>> schemas = {{"trial", &catalog().trial}};
  for (const auto* all : {&catalog().methods, &catalog().models, &catalog().datasets}) {
    for (const Component& component : *all) schemas.emplace_back(component.name, &component.schema);
  }
  for (const auto& [name, schema] : schemas) {
    std::vector<SettingProblem> problems;
    resolve(*schema, Settings(), problems);
    std::set<std::string> keys;
    for (const SettingProblem& problem : problems) {
      EXPECT_EQ(problem.text, "is required and not given") << name << " " << problem.key;
    }
    for (const Setting& setting : *schema) {
      EXPECT_TRUE(keys.insert(setting.key).second) << name << " declares " << setting.key << " twice";
    }
  }
}

TEST_F(CommandLine, ExplainNamesTheReadersOfASetting) {
  EXPECT_NE(winnow({"explain", "method.alpha"}).out.find("read by"), std::string::npos);
  EXPECT_NE(winnow({"explain", "train.lr"}).out.find("learning rate"), std::string::npos);
  EXPECT_NE(winnow({"explain", "method.name"}).out.find("rigl"), std::string::npos);
  const Said wrong = winnow({"explain", "train.learning_rate"});
  EXPECT_EQ(wrong.code, 64);
  EXPECT_NE(wrong.err.find("did you mean 'train.lr'?"), std::string::npos);
}

TEST_F(CommandLine, ExplainKnowsLastPartsAndTheWordsOfSweepFiles) {
  EXPECT_NE(winnow({"explain", "lr"}).out.find("train.lr "), std::string::npos);
  for (const char* key : {"pair", "replicate", "stop.nonfinite", "method.with"}) {
    const Said said = winnow({"explain", key});
    EXPECT_EQ(said.code, 0) << key;
    EXPECT_NE(said.out.find(key), std::string::npos) << said.out;
  }
}

TEST_F(CommandLine, SmokeTakesWhatTwoBatchesNeedOfSmallData) {
  const auto fraction = [&](const std::string& validation) {
    const std::string sweep = "trial:\n  data: {name: synthetic, examples: 4096, validation: " + validation +
                              "}\n  model: {name: lenet300}\n  method: {name: dense}\n"
                              "  train: {batch: 128}\n";
    const Said said = winnow({"plan", write("s.yaml", sweep).string(), "--smoke", "--json"});
    EXPECT_EQ(said.code, 0) << said.err;
    return nlohmann::json::parse(said.out)["trials"][0]["settings"]["data.fraction"];
  };
  EXPECT_EQ(fraction("496"), "0.0712");  // 256 of 3600, rounded up
  EXPECT_EQ(fraction("3896"), "1");
}

TEST_F(CommandLine, HoldingOutAllExamplesIsAMistakeOfTheValidationSetting) {
  const Said said = winnow({"plan", write("s.yaml",
                                          "trial:\n  data: {name: synthetic, examples: 64,\n"
                                          "         validation: 64}\n  model: {name: lenet300}\n"
                                          "  method: {name: dense}\n")
                                        .string()});
  EXPECT_EQ(said.code, 65);
  EXPECT_NE(said.err.find("s.yaml:3:22: error: 'data.validation' leaves no training example"), std::string::npos)
      << said.err;
}

TEST_F(CommandLine, PlanNamesDenseMultiplyAddsAndDuplicates) {
  const Said said = winnow({"plan", write("s.yaml",
                                          "trial:\n  data: {name: synthetic}\n"
                                          "  model: {name: lenet300}\n  method: {name: dense}\n"
                                          "axes:\n  - train.lr: [0.1, 0.2, 0.10]\n")
                                        .string()});
  EXPECT_NE(said.out.find("  dense MACs  "), std::string::npos) << said.out;
  EXPECT_NE(said.out.find("\n  1 duplicate of another trial (same settings)\n"), std::string::npos) << said.out;
}

TEST_F(CommandLine, AWrongLayerIsAMistakeOfTheSettingThatNamesIt) {
  const Said said = winnow({"plan", write("s.yaml",
                                          "trial:\n  data: {name: synthetic}\n"
                                          "  model: {name: lenet300}\n  method: {name: snip,\n"
                                          "    density: 0.1, layer_density: [lasst=0.5]}\n")
                                        .string()});
  EXPECT_EQ(said.code, 65);
  EXPECT_NE(said.err.find("s.yaml:5:34: error: 'method.layer_density' no prunable layer 'lasst'"), std::string::npos)
      << said.err;
}

TEST_F(CommandLine, OptionsAreNotAbbreviated) {
  for (const char* verb : {"plan", "run", "status", "collect", "report"}) {
    EXPECT_EQ(winnow({verb, folder_.string(), "--hel"}).code, 64) << verb;
  }
}

TEST_F(CommandLine, AnEmptyTextIsAVariableThatIsNotSet) {
  for (const std::vector<std::string>& args :
       std::vector<std::vector<std::string>>{{"run", example("first.yaml"), "-o", ""},
                                             {"plan", ""},
                                             {"status", ""},
                                             {"collect", "-o", ""},
                                             {"forget", "out", "--plan", ""},
                                             {"retry", "--trial", ""},
                                             {"plan", example("first.yaml"), "--only", "train.lr=1", "--only", ""}}) {
    const Said said = winnow(args);
    EXPECT_EQ(said.code, 64) << args[0];
    EXPECT_NE(said.err.find("is given an empty text"), std::string::npos) << said.err;
  }
}

TEST_F(CommandLine, NumbersOfThreadsAndProcessesHaveABound) {
  for (const std::vector<std::string>& args :
       std::vector<std::vector<std::string>>{{"bench", "--threads", "100000"},
                                             {"bench", "--threads", "0"},
                                             {"run", example("first.yaml"), "--threads", "100000"},
                                             {"run", example("first.yaml"), "--workers", "100000"},
                                             {"run", example("first.yaml"), "--workers", "-1"}}) {
    const Said said = winnow(args);
    EXPECT_EQ(said.code, 64) << args[0];
    EXPECT_NE(said.err.find(" to 1024, is "), std::string::npos) << said.err;
  }
}

// mpirun starts one for every rank; what they say is said once.
TEST_F(CommandLine, OnlyTheFirstOfSeveralProcessesAnswers) {
  setenv("OMPI_COMM_WORLD_RANK", "1", 1);
  setenv("OMPI_COMM_WORLD_SIZE", "2", 1);
  const std::vector<std::vector<std::string>> questions = {
      {"plan", example("first.yaml")}, {"methods"}, {"--version"}, {"--help"}, {"status", "nowhere"}, {"nothing"}, {}};
  std::vector<Said> second;
  for (const auto& args : questions) second.push_back(winnow(args));
  setenv("OMPI_COMM_WORLD_RANK", "0", 1);
  const Said first = winnow({"methods"});
  unsetenv("OMPI_COMM_WORLD_RANK");
  unsetenv("OMPI_COMM_WORLD_SIZE");
  for (const Said& said : second) EXPECT_EQ(said.out + said.err, "");
  EXPECT_NE(first.out, "");
}

TEST_F(CommandLine, TextThatFindsNoRoomIsAnError) {
  struct Full : std::streambuf {
    int sync() override { return -1; }
    int overflow(int) override { return 0; }
  } full;
  std::ostream out(&full);
  std::ostringstream err;
  EXPECT_EQ(run_command_line(std::vector<std::string>{"methods"}, out, err), 74);
  EXPECT_EQ(err.str(), "winnow: error: cannot write to standard output\n");
}

TEST_F(CommandLine, HelpAndVersionSayWhatThereIs) {
  const Said help = winnow({"--help"});
  EXPECT_EQ(help.code, 0);
  for (const Verb& verb : verbs()) {
    EXPECT_NE(help.out.find(std::string("  ") + verb.name), std::string::npos);
    EXPECT_EQ(winnow({verb.name, "--help"}).code, 0) << verb.name;
  }
  const Said version = winnow({"--version"});
  for (const char* part : {"winnow", "oneDNN", "MPI", "HDF5"}) {
    EXPECT_NE(version.out.find(part), std::string::npos) << part;
  }
}

}  // namespace
}  // namespace winnow::test
