// docs/formats.md says what every column of a result's tables is.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/training/whole_trial.h"

namespace winnow {
namespace {

TEST(FormatsPage, NamesEveryColumnOfALayer) {
  std::ifstream page(std::filesystem::path(WINNOW_SOURCE_DIR) / "docs" / "formats.md");
  const std::string text((std::istreambuf_iterator<char>(page)), {});
  ASSERT_FALSE(text.empty());
  // With a column more than other methods: the bits of a stored form of its own.
  const TrialResult result =
      test::result_of(test::spec_of("{name: exponential}", "epochs: 1, batch: 32, precision: f32"));
  EXPECT_GE(result.layers.columns.size(), 10u);
  for (const Column& column : result.layers.columns) {
    EXPECT_NE(text.find("`" + column.name + "`"), std::string::npos) << column.name;
  }
}

}  // namespace
}  // namespace winnow
