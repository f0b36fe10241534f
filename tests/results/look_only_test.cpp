// Verbs that only look leave everything below an output directory as it is: each name, size, inode, time and byte.
#include "experiments/results/checkpoint_file.h"
#include "experiments/results/layout.h"
#include "experiments/results/plan_file.h"
#include "experiments/results/progress_file.h"
#include "experiments/results/status.h"
#include "tests/results/sample_sweep.h"
#include "tests/results/samples.h"
#include "tests/training/leave_checkpoint.h"
#include "tests/training/run_fixture.h"
#include "tests/tree_state.h"

namespace winnow::test {
namespace {

namespace fs = std::filesystem;

class LookOnly : public RunFixture {
 protected:
  LookOnly() : RunFixture("  - replicate: 2\n") {}

  static int ask(const std::vector<std::string>& args, std::string& said) {
    std::ostringstream text, errors;
    const int code = run_command_line(args, text, errors);
    said = text.str() + errors.str();
    return code;
  }

  // What a killed run leaves and another one would clear away.
  void leave_leftovers() const {
    const Layout layout(out());
    const std::string done = published_trials(files_, out()).at(0);
    TrialSpec stopped = trials()[0];
    stopped.replicate = 7;
    leave_checkpoint(files_, out(), stopped);
    const fs::path of_done = layout.checkpoints(done) / "00000001.ck";
    files_.write_once(of_done, files_.read(layout.checkpoints(stopped.name()) / "00000001.ck"));
    std::vector<std::byte> heartbeat;
    {
      const ProgressFile running(files_, out(), stopped, 1);
      heartbeat = files_.read(layout.progress(stopped.name()));
    }
    files_.replace(layout.progress(stopped.name()), std::span<const std::byte>(heartbeat));
    for (const fs::path& folder : {out(), layout.plans(), layout.trial(done).parent_path(), of_done.parent_path()}) {
      const fs::path leftover = folder / "x.h5.tmp.0123";
      files_.replace(leftover, "half");
      fs::last_write_time(leftover, fs::file_time_type::clock::now() - std::chrono::hours(2));
    }
  }

  void expect_nothing_touched(const std::string& trial) const {
    const std::string place = out().string();
    ASSERT_FALSE(files_.exists(Layout(out()).index())) << "what could be written is there to be written";
    const TreeState before = tree_state(folder_);
    for (const std::vector<std::string>& verb :
         std::vector<std::vector<std::string>>{{"status", place},
                                               {"status", place, "--json"},
                                               {"report", place},
                                               {"report", place + "/survey.h5"},
                                               {"show", trial, "-o", place},
                                               {"show", trial, "-o", place, "--json"},
                                               {"tail", place, "--once"},
                                               {"verify", place},
                                               {"plan", sweep_, "-o", place},
                                               {"plan", sweep_, "-o", place, "--json"},
                                               {"retry", place, "-n"},
                                               {"forget", place}}) {
      std::string said;
      const int code = ask(verb, said);
      // Of a checkpoint under another trial's name verify says that it is a fault.
      EXPECT_EQ(code, verb[0] == "verify" ? 66 : 0) << verb[0] << ": " << said;
      EXPECT_TRUE(is_untouched(folder_, before)) << verb[0];
    }
  }
};

TEST_F(LookOnly, NothingChangesInADirectoryOfARun) {
  ASSERT_EQ(winnow({"run"}).code, 0);
  std::string said;
  ASSERT_EQ(ask({"collect", out().string()}, said), 0) << said;
  leave_leftovers();
  fs::remove(Layout(out()).index());
  expect_nothing_touched(trials().name(0));
}

TEST_F(LookOnly, NothingChangesInADirectoryWithFailedAndMissingTrials) {
  write_sample_sweep(files_, out());
  std::string said;
  ASSERT_EQ(ask({"collect", out().string()}, said), 0) << said;
  leave_leftovers();
  expect_nothing_touched(sample_trial(1, "dense", "1", 0).spec.name());
}

}  // namespace
}  // namespace winnow::test
