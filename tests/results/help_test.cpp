// Help, completion, the manual page and `winnow init`: all of them know every verb and option, since they are made from
// the tables that parse them.
#include <unistd.h>

#include <array>
#include <cstdio>
#include <fstream>
#include <sstream>

#include "experiments/cli/exit_codes.h"
#include "experiments/cli/listing.h"
#include "experiments/cli/options.h"
#include "experiments/cli/verbs.h"
#include "tests/said.h"
#include "tests/sweep/sweep_fixture.h"

namespace winnow::test {
namespace {

std::string output_of(const std::string& command) {
  std::string text;
  std::FILE* pipe = popen(command.c_str(), "r");
  std::array<char, 4096> part{};
  while (const std::size_t size = std::fread(part.data(), 1, part.size(), pipe)) text.append(part.data(), size);
  EXPECT_EQ(pclose(pipe), 0) << command;
  return text;
}

class Help : public SweepFiles {
 protected:
  // What bash offers for a line whose last word is being typed.
  std::string completed(const std::vector<std::string>& words) {
    const auto script = write("completion.bash", winnow({"completion", "bash"}).out).string();
    std::string line = "source " + script + "; compopt() { :; }; COMP_WORDS=(";
    for (const std::string& word : words) line += "'" + word + "' ";
    line += "); COMP_CWORD=" + std::to_string(words.size() - 1) + "; _winnow; echo \"${COMPREPLY[*]}\"";
    const auto file = write("ask.bash", line).string();
    std::string text = output_of("bash " + file);
    text.erase(text.find_last_not_of('\n') + 1);
    return text;
  }
};

TEST_F(Help, EveryVerbHasItsOwn) {
  const Said all = winnow({"help"});
  EXPECT_EQ(all.code, 0);
  for (const Verb& verb : verbs()) {
    EXPECT_NE(all.out.find(std::string("  ") + verb.name + " "), std::string::npos) << verb.name;
    const Said one = winnow({"help", verb.name});
    EXPECT_EQ(one.code, 0);
    EXPECT_EQ(one.out, winnow({verb.name, "--help"}).out);
    EXPECT_TRUE(one.out.starts_with(std::string("winnow ") + verb.name)) << one.out;
    for (const VerbOptions shown = shown_options(verb.name); const auto& option : shown.options()) {
      EXPECT_NE(one.out.find("--" + option->long_name()), std::string::npos) << verb.name << one.out;
      EXPECT_FALSE(option->description().empty()) << verb.name << " " << option->long_name();
    }
  }
  EXPECT_EQ(winnow({"help", "pln"}).code, 64);
}

TEST_F(Help, BashCompletesVerbsOptionsSettingsAndNames) {
  EXPECT_EQ(completed({"winnow", "pl"}), "plan");
  EXPECT_EQ(completed({"winnow", "help", "comp"}), "completion");
  EXPECT_EQ(completed({"winnow", "run", "--ra"}), "--ranks-per-trial");
  EXPECT_EQ(completed({"winnow", "run", "s.yaml", "--set", "train.we"}), "train.weight_decay=");
  EXPECT_EQ(completed({"winnow", "methods", "rig"}), "rigl");
  EXPECT_EQ(completed({"winnow", "models", "lenet30"}), "lenet300");
  EXPECT_EQ(completed({"winnow", "bench", "--method", "syn"}), "synflow");
  EXPECT_EQ(completed({"winnow", "report", "--sort", "dens"}), "density");
  EXPECT_EQ(completed({"winnow", "plan", write("unlike.yaml", "").string().substr(0, folder_.string().size() + 5)}),
            (folder_ / "unlike.yaml").string());
  for (const Verb& verb : verbs()) {
    const std::string offered = " " + completed({"winnow", verb.name, "--"}) + " ";
    for (const VerbOptions shown = shown_options(verb.name); const auto& option : shown.options()) {
      EXPECT_NE(offered.find(" --" + option->long_name() + " "), std::string::npos) << verb.name << ":" << offered;
    }
  }
}

TEST_F(Help, ZshKnowsEveryVerbAndOption) {
  const std::string script = winnow({"completion", "zsh"}).out;
  EXPECT_TRUE(script.starts_with("#compdef winnow\n"));
  for (const Verb& verb : verbs()) {
    EXPECT_NE(script.find("\n    " + std::string(verb.name) + ") _arguments"), std::string::npos) << verb.name;
    for (const VerbOptions shown = shown_options(verb.name); const auto& option : shown.options()) {
      EXPECT_NE(script.find("'*--" + option->long_name() + "["), std::string::npos) << option->long_name();
    }
  }
  EXPECT_EQ(winnow({"completion", "fish"}).code, 64);
}

TEST_F(Help, TheManualPageHasEveryVerbOptionAndExitCode) {
  const std::string page = winnow({"man"}).out;
  EXPECT_TRUE(page.starts_with(".TH WINNOW 1"));
  for (const Verb& verb : verbs()) {
    EXPECT_NE(page.find("\n.SS winnow " + std::string(verb.name)), std::string::npos) << verb.name;
  }
  EXPECT_NE(page.find("\n\\fB\\-o, \\-\\-out\\fR VALUE\n"), std::string::npos);
  std::ifstream file(std::filesystem::path(WINNOW_SOURCE_DIR) / "docs/formats.md");
  const std::string documented((std::istreambuf_iterator<char>(file)), {});
  for (const ExitCode& code : exit_codes()) {
    EXPECT_NE(page.find("\n.TP\n" + std::to_string(code.code) + "\n"), std::string::npos) << code.code;
    EXPECT_NE(documented.find("\n| " + std::to_string(code.code) + " | "), std::string::npos) << code.code;
  }
}

TEST_F(Help, ExplainListsTheKeysOfASection) {
  const Said train = winnow({"explain", "train"});
  EXPECT_EQ(train.code, 0);
  for (const std::string& key : setting_keys()) {
    const bool listed = train.out.find("  " + key + " ") != std::string::npos;
    EXPECT_EQ(listed, key.starts_with("train.")) << key;
  }
  EXPECT_NE(winnow({"explain", "train.schedule"}).out.find("train.schedule.gamma"), std::string::npos);
  EXPECT_EQ(winnow({"explain", "trian"}).code, 64);
}

TEST_F(Help, InitWritesASweepThatPlansAndTrains) {
  const std::string file = (folder_ / "start.yaml").string(), out = (folder_ / "out").string();
  EXPECT_EQ(winnow({"init", file}).code, 0);
  EXPECT_EQ(winnow({"init", file}).code, 64) << "no file of the user is replaced";
  EXPECT_TRUE(winnow({"init", "-"}).out.starts_with("sweep: start"));
  EXPECT_FALSE(std::filesystem::exists("-"));
  const Said plan = winnow({"plan", file, "-o", out});
  EXPECT_EQ(plan.code, 0) << plan.err;
  EXPECT_NE(plan.out.find("start  14 trials"), std::string::npos) << plan.out;
  EXPECT_EQ(plan.out.find("note"), std::string::npos) << plan.out;
  // The README shows the same file.
  std::ifstream readme(std::filesystem::path(WINNOW_SOURCE_DIR) / "README.md"), written(file);
  const std::string shown((std::istreambuf_iterator<char>(readme)), {});
  const std::string sweep((std::istreambuf_iterator<char>(written)), {});
  EXPECT_NE(shown.find("```yaml\n" + sweep + "```\n"), std::string::npos);
  const auto program = std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path() / "winnow";
  output_of(program.string() + " run " + file + " -o " + out + " --smoke --strict -q --threads 1");
  const Said report = winnow({"report", out + "/smoke", "--csv", "--columns", "method,n"});
  EXPECT_EQ(report.out,
            "group,method,n\nlenet300 on fashion-mnist,dense,1\nlenet300 on fashion-mnist,magnitude,1\n"
            "lenet300 on fashion-mnist,rigl,1\nlenet300 on fashion-mnist,snip,1\n");
}

TEST_F(Help, InstallBringsReaderPlotsDocumentsAndExamples) {
  const auto build = std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path();
  const auto prefix = folder_ / "prefix";
  output_of("cmake --install " + build.string() + " --prefix " + prefix.string());
  for (const char* file :
       {"bin/winnow", "share/winnow/winnow.py", "share/winnow/plot.py", "share/winnow/examples/first.yaml",
        "share/winnow/slurm/site.yaml", "share/doc/winnow/README.md", "share/doc/winnow/docs/formats.md",
        "share/man/man1/winnow.1", "share/bash-completion/completions/winnow", "share/zsh/site-functions/_winnow"}) {
    EXPECT_TRUE(std::filesystem::exists(prefix / file)) << file;
    EXPECT_GT(std::filesystem::file_size(prefix / file), 100u) << file;
  }
  std::ifstream page(prefix / "share/man/man1/winnow.1");
  const std::string installed((std::istreambuf_iterator<char>(page)), {});
  EXPECT_EQ(installed, winnow({"man"}).out);
}

TEST_F(Help, ReadersLookWhereRunWrites) {
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(folder_);
  EXPECT_NE(winnow({"status"}).err.find("out: no such directory"), std::string::npos);
  std::filesystem::create_directories("out/trials");
  EXPECT_EQ(winnow({"status"}).code, 0);
  std::filesystem::current_path(folder_ / "out");
  EXPECT_EQ(winnow({"status"}).code, 0) << "and within it";
  std::filesystem::current_path(before);
}

}  // namespace
}  // namespace winnow::test
