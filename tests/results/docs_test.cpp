// docs/formats.md must name what the code writes.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "core/encoded.h"
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

}  // namespace
}  // namespace winnow::test
