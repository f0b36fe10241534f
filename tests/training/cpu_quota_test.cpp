// The limits of control groups, on trees of files as Docker, Kubernetes and systemd leave them.
#include "experiments/run/cpu_quota.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

namespace winnow {
namespace {

class CpuQuotaOf : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
    root_ = std::filesystem::path(::testing::TempDir()) / (std::string("winnow-quota-") + info->name());
    std::filesystem::remove_all(root_);
  }
  void TearDown() override { std::filesystem::remove_all(root_); }
  void write(const std::string& path, const std::string& text) const {
    std::filesystem::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text << "\n";
  }
  std::filesystem::path root_;
};

constexpr const char* kV2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate";
constexpr const char* kV1 =
    "31 23 0:28 / /sys/fs/cgroup ro - tmpfs tmpfs rw\n"
    "32 31 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    "33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct";

TEST_F(CpuQuotaOf, NothingIsNoLimit) { EXPECT_TRUE(std::isinf(cpu_quota(root_).cores)); }

TEST_F(CpuQuotaOf, Version2IsTheTightestOfAGroupAndItsParents) {
  write("proc/self/mountinfo", kV2);
  write("proc/self/cgroup", "0::/user.slice/job");
  write("sys/fs/cgroup/user.slice/job/cpu.max", "max 100000");
  EXPECT_TRUE(std::isinf(cpu_quota(root_).cores));
  write("sys/fs/cgroup/user.slice/cpu.max", "250000 100000");
  EXPECT_DOUBLE_EQ(cpu_quota(root_).cores, 2.5);
  write("sys/fs/cgroup/user.slice/job/cpu.max", "50000 100000");
  EXPECT_DOUBLE_EQ(cpu_quota(root_).cores, 0.5);
  EXPECT_EQ(cpu_quota(root_).group, (root_ / "sys/fs/cgroup/user.slice/job").string());
}

TEST_F(CpuQuotaOf, Version2InAContainerSeesItsOwnGroupAsTheRoot) {
  write("proc/self/mountinfo", kV2);
  write("proc/self/cgroup", "0::/");
  write("sys/fs/cgroup/cpu.max", "300000 100000");
  EXPECT_DOUBLE_EQ(cpu_quota(root_).cores, 3);
}

TEST_F(CpuQuotaOf, Version1CountsMinusOneAsNoLimit) {
  write("proc/self/mountinfo", kV1);
  write("proc/self/cgroup", "5:memory:/big\n4:cpu,cpuacct:/job");
  write("sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us", "100000");
  write("sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us", "-1");
  EXPECT_TRUE(std::isinf(cpu_quota(root_).cores));
  write("sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us", "150000");
  EXPECT_DOUBLE_EQ(cpu_quota(root_).cores, 1.5);
}

TEST_F(CpuQuotaOf, Version1InAContainerIsMountedFromItsGroup) {
  write("proc/self/mountinfo", "33 31 0:30 /docker/3f2a /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu");
  write("proc/self/cgroup", "4:cpu:/docker/3f2a");
  write("sys/fs/cgroup/cpu/cpu.cfs_period_us", "50000");
  write("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "100000");
  EXPECT_DOUBLE_EQ(cpu_quota(root_).cores, 2);
}

TEST_F(CpuQuotaOf, AGroupOutsideOfTheMountIsSeenAsItsRoot) {
  write("proc/self/mountinfo", "33 31 0:30 /docker/3f2a /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu");
  write("proc/self/cgroup", "4:cpu:/other");
  write("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000");
  write("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "400000");
  EXPECT_DOUBLE_EQ(cpu_quota(root_).cores, 4);
}

}  // namespace
}  // namespace winnow
