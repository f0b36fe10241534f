// docs/formats.md must name what the code writes.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "core/encoded.h"
#include "experiments/cli/exit_codes.h"
#include "experiments/results/summary.h"
#include "experiments/results/weight_forms.h"

namespace winnow::test {
namespace {

TEST(FormatsPage, NamesEverySummaryValueAndEveryWeightForm) {
  const auto root = std::filesystem::path(WINNOW_SOURCE_DIR);
  std::ifstream page(root / "docs" / "formats.md");
  const std::string text((std::istreambuf_iterator<char>(page)), {});
  for (const SummaryField& field : summary_fields()) {
    EXPECT_NE(text.find("| `" + field.name + "` | " + field.unit + " | " + field.meaning + " |"), std::string::npos)
        << field.name;
  }
  for (const WeightForm form : kStoredForms) {
    EXPECT_NE(text.find("| `" + std::string(encoding_of(form)) + "`"), std::string::npos) << name_of(form);
  }
  for (const Encoding& own : encodings()) {
    EXPECT_NE(text.find(std::string("| `") + encoding_of(WeightForm::Own) + own.kind + "`"), std::string::npos)
        << own.kind;
  }
}

TEST(FormatsPage, HasTheExitCodesOfTheManual) {
  std::ifstream page(std::filesystem::path(WINNOW_SOURCE_DIR) / "docs" / "formats.md");
  const std::string text((std::istreambuf_iterator<char>(page)), {});
  const auto plain = [](std::string words) {
    std::erase(words, '`');
    return words;
  };
  for (const ExitCode& exit : exit_codes()) {
    const std::string row = fmt::format("| {} | {}", exit.code, plain(exit.meaning));
    EXPECT_NE(plain(text).find(row), std::string::npos) << row;
  }
}

}  // namespace
}  // namespace winnow::test
