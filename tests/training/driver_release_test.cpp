// The driver's release in what its kernel module shows.
#include "experiments/run/driver_release.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/temporary_folder.h"

namespace winnow {
namespace {

TEST(DriverRelease, IsTheNumberWithDotsBehindTheModulesName) {
  const test::TemporaryFolder folder;
  const std::filesystem::path file = folder.path() / "version";
  const auto release_of = [&](const char* text) {
    std::ofstream(file) << text << "\n";
    return driver_release(file);
  };
  EXPECT_EQ(release_of("NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 19:39:15 UTC 2024\n"
                       "GCC version:  gcc version 12.2.0 (Debian 12.2.0-14)"),
            "535.183.01");
  EXPECT_EQ(
      release_of("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build  (root@host)"),
      "580.65.06");
  EXPECT_EQ(release_of("NVRM version: something else\nGCC version:  gcc version 12.2.0 (Debian 12.2.0-14)"), "");
  EXPECT_EQ(release_of(""), "");
  EXPECT_EQ(driver_release(folder.path() / "nothing"), "");
}

}  // namespace
}  // namespace winnow
