// The sweep files that the documents show must work, with as many trials as they claim.
#include <sstream>
#include <vector>

#include "experiments/run/trial_setup.h"
#include "tests/sweep/sweep_fixture.h"

namespace winnow::test {
namespace {

std::string page(const char* name) {
  const auto root = std::filesystem::path(WINNOW_SOURCE_DIR);
  std::ifstream stream(root / name);
  return {std::istreambuf_iterator<char>(stream), {}};
}

std::vector<std::string> code_blocks(const std::string& text) {
  std::vector<std::string> blocks;
  std::istringstream lines(text);
  bool inside = false;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("```")) {
      inside = !inside;
      if (inside) blocks.emplace_back();
    } else if (inside) {
      blocks.back() += line + "\n";
    }
  }
  return blocks;
}

class SweepsOfTheDocuments : public SweepFiles {
 protected:
  // What a plan says: how many trials, or the problems, without the temporary folder.
  std::string planned(const std::string& label, const std::string& text) const {
    try {
      const auto path = write(label + ".yaml", text);
      return std::to_string(load_sweep(path, catalog(), {.check = check_trial}).trials.size());
    } catch (const Error& error) {
      std::string said = std::string(error.what()) + "\n";
      const std::string folder = folder_.string() + "/";
      for (std::size_t at; (at = said.find(folder)) != std::string::npos;) said.erase(at, folder.size());
      return said;
    }
  }

  // Blocks that begin "sweep: LABEL  # N trials", or "# refused" with the message as the next
  // block. Each is LABEL.yaml, so that a later one can extend it. Returns how many there were.
  int check_examples(const char* name) const {
    const std::vector<std::string> blocks = code_blocks(page(name));
    int found = 0;
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      std::istringstream head(blocks[i]);
      std::string key, label, hash, claim;
      head >> key >> label >> hash >> claim;
      if (key != "sweep:") continue;
      ++found;
      const bool refused = claim == "refused" && i + 1 < blocks.size();
      EXPECT_EQ(planned(label, blocks[i]), refused ? blocks[i + 1] : claim) << name << ": " << label;
    }
    return found;
  }
};

TEST_F(SweepsOfTheDocuments, HaveTheTrialsAndTheErrorsThatAreClaimed) {
  EXPECT_GE(check_examples("docs/sweep.md"), 7);
  EXPECT_GE(check_examples("README.md"), 1);
}

TEST(SweepPage, NamesEverySettingOfATrialWithItsDefault) {
  const std::string text = page("docs/sweep.md");
  for (const Setting& setting : catalog().trial) {
    std::string usual = setting.fallback.value_or("required");
    if (usual.empty()) usual = "not set";
    EXPECT_NE(text.find("| `" + setting.key + "` | " + usual + " | "), std::string::npos)
        << setting.key << " " << usual;
  }
}

}  // namespace
}  // namespace winnow::test
