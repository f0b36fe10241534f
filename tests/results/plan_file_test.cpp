// Plans as files: those of several sweeps, damaged lines, kills.
#include "experiments/results/plan_file.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "core/error.h"
#include "experiments/results/layout.h"
#include "experiments/results/trial_file.h"
#include "tests/results/faulty_files.h"
#include "tests/results/sample_sweep.h"
#include "tests/results/samples.h"

namespace winnow::test {
namespace {

TEST(PlanFile, ComesBackAndKeepsTrialsOfEarlierPlans) {
  TemporaryFolder folder;
  PosixFiles files;
  EXPECT_TRUE(read_plan(files, folder.path()).empty());
  const PlannedTrial first = planned(sample_trial(1).spec), second = planned(sample_trial(2).spec);
  EXPECT_EQ(first.canonical, "data.name=mnist method.density=0.1 method.name=rigl model.name=lenet300");
  write_plan(files, folder.path(), std::vector{first});
  write_plan(files, folder.path(), std::vector{second});
  auto both = read_plan(files, folder.path());
  std::ranges::sort(both, {}, &PlannedTrial::name);
  EXPECT_EQ(both, (std::vector{first, second}));
  ASSERT_EQ(read_plans(files, folder.path()).size(), 3u);
  // Of an older winnow there is only plan.tsv.
  std::filesystem::remove_all(Layout(folder.path()).plans());
  write_plan(files, folder.path(), std::vector{second});
  EXPECT_EQ(read_plan(files, folder.path()), (std::vector{second, first}));
  EXPECT_EQ(read_plans(files, folder.path()).back().trials, std::vector{first});
}

TEST(PlanFile, SweepsThatStartTogetherKeepBothPlans) {
  const std::vector first{planned(sample_trial(1).spec)}, second{planned(sample_trial(2).spec)};
  // The other sweep starts between our look at the plans and our change of plan.tsv.
  class Racing : public PosixFiles {
   public:
    std::function<void()> other;

   protected:
    void rename(const Path& from, const Path& to) override {
      if (to.filename() == "plan.tsv" && other) std::exchange(other, nullptr)();
      PosixFiles::rename(from, to);
    }
  } files;
  TemporaryFolder folder;
  files.other = [&] {
    PosixFiles theirs;
    write_plan(theirs, folder.path(), second);
  };
  write_plan(files, folder.path(), first);
  EXPECT_EQ(read_plan(files, folder.path()).size(), 2u);
  EXPECT_EQ(read_plans(files, folder.path()).size(), 3u) << "two sweeps, and plan.tsv with nothing else";
  for (const auto& name : files.list(Layout(folder.path()).plans())) files.remove(Layout(folder.path()).plans() / name);
  EXPECT_EQ(read_plan(files, folder.path()).size(), 2u) << "plan.tsv has both as well";
}

TEST(PlanFile, ADamagedLineIsNamed) {
  TemporaryFolder folder;
  PosixFiles files;
  for (const char* bad : {"../../etc/passwd\tx", "aa00-r0", "zz-r0\tx", "aa00-r\tx"}) {
    files.replace(Layout(folder.path()).plan(), std::string("# winnow-plan 1.0\tname\tsettings\n") + bad + "\n");
    try {
      read_plan(files, folder.path());
      ADD_FAILURE() << bad;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::Input);
      EXPECT_NE(std::string(error.what()).find("plan.tsv:2"), std::string::npos);
    }
  }
}

TEST(PlanFile, KilledAtAnyOperationTheOldOneOrTheNewOneIsThere) {
  const std::vector first{planned(sample_trial(1).spec)}, second{planned(sample_trial(2).spec)};
  const auto run = [&](Files& files, const std::filesystem::path& out) { write_plan(files, out, second); };
  FaultyFiles counting;
  {
    TemporaryFolder folder;
    run(counting, folder.path());
  }
  for (const Fault fault : {Fault::DieBefore, Fault::DieHalfWay, Fault::NoSpace, Fault::InputOutput}) {
    for (int at = 0; at < counting.operations(); ++at) {
      TemporaryFolder folder;
      PosixFiles sound;
      write_plan(sound, folder.path(), first);
      FaultyFiles files(fault, at);
      EXPECT_ANY_THROW(run(files, folder.path())) << at;
      const auto found = read_plan(sound, folder.path());
      EXPECT_TRUE(found == first || found.size() == 2) << at << ": " << found.size();
      run(sound, folder.path());
      EXPECT_EQ(read_plan(sound, folder.path()).size(), 2u);
    }
  }
}

}  // namespace
}  // namespace winnow::test
