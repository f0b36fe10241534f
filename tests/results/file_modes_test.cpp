// Who may read what winnow writes is for the user's umask to say: nothing has more rights, and nothing has less.
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "experiments/results/checkpoint_file.h"
#include "experiments/results/failure_file.h"
#include "experiments/results/journal.h"
#include "experiments/results/layout.h"
#include "experiments/results/progress_file.h"
#include "experiments/results/trial_file.h"
#include "experiments/run/crash_watch.h"
#include "tests/results/faulty_files.h"
#include "tests/results/samples.h"
#include "tests/submit/fake_slurm.h"
#include "tests/training/leave_checkpoint.h"
#include "tests/training/run_fixture.h"

namespace winnow::test {
namespace {

namespace fs = std::filesystem;

class MaskedUntilEnd {
 public:
  explicit MaskedUntilEnd(mode_t mask) : before_(::umask(mask)) {}
  ~MaskedUntilEnd() { ::umask(before_); }
  MaskedUntilEnd(const MaskedUntilEnd&) = delete;
  MaskedUntilEnd& operator=(const MaskedUntilEnd&) = delete;

 private:
  mode_t before_;
};

class FileModes : public RunFixture {
 protected:
  FileModes() : RunFixture("  - replicate: 4\n") {}

  // A bit for each kind of thing that winnow writes; the heartbeat lasts as long as what is returned.
  std::unique_ptr<ProgressFile> write_everything() const {
    EXPECT_EQ(winnow({"submit", "--ask-every", "0", "--time", "01:00:00", "--shards", "2"}).code, 0);
    EXPECT_EQ(winnow({"run", "--workers", "2"}).code, 0);
    EXPECT_EQ(winnow({"run", "--shard", "0/2"}).code, 0);
    std::ostringstream text, errors;
    EXPECT_EQ(run_command_line(std::vector<std::string>{"collect", out().string()}, text, errors), 0) << errors.str();
    TrialSpec spec = trials()[0];
    spec.replicate = 10;
    leave_checkpoint(files_, out(), spec);
    CheckpointFolder(files_, out(), spec.name()).note_crash(1, "its process ended by signal 11");
    leave_note_of_crash(spec.name());
    record_failure(files_, out(), sample_trial(1).spec, "out of memory");
    publish_stopped(files_, out(), sample_trial(2));
    // Where files cannot be made without a name, nor linked.
    for (const int lacking : {1, 2}) {
      FaultyFiles files;
      files.no_unnamed = true;
      files.no_links = lacking == 2;
      publish(files, out(), sample_trial(3 + lacking));
    }
    return std::make_unique<ProgressFile>(files_, out(), spec, 1);
  }

 private:
  void leave_note_of_crash(const std::string& trial) const {
    const CheckpointFolder folder(files_, out(), trial + "0");
    const fs::path mark = Layout(out()).journals() / "run.a0001.crash";
    const pid_t child = ::fork();
    if (child == 0) {
      catch_crashes();
      const CrashWatch watch(folder.crash_path(1), 0, mark);
      ::raise(SIGABRT);
      ::_exit(0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFSIGNALED(status));
    EXPECT_TRUE(fs::exists(folder.crash_path(1)));
    EXPECT_TRUE(fs::exists(mark));
  }

  FakeSlurm slurm_;
};

TEST_F(FileModes, AreWhatTheUmaskLeaves) {
  for (const mode_t mask : {mode_t{0}, mode_t{027}, mode_t{077}}) {
    SCOPED_TRACE(fmt::format("umask {:03o}", mask));
    fs::remove_all(out());
    const MaskedUntilEnd masked(mask);
    const auto heartbeat = write_everything();
    std::set<std::string> kinds;
    for (const auto& entry : fs::recursive_directory_iterator(out())) {
      struct stat about {};
      ASSERT_EQ(::lstat(entry.path().c_str(), &about), 0) << entry.path();
      const mode_t mode = about.st_mode & 07777;
      if (S_ISDIR(about.st_mode)) {
        EXPECT_EQ(mode, 0777 & ~mask) << fmt::format("{:o} {}", mode, entry.path().string());
        continue;
      }
      kinds.insert(entry.path().lexically_relative(out()).begin()->string());
      EXPECT_TRUE(mode == (0666 & ~mask) || mode == (0444 & ~mask))
          << fmt::format("{:o} {}", mode, entry.path().string());
    }
    for (const char* kind : {"checkpoints", "failed", "journal", "plan.tsv", "plans", "running", "shards", "slurm",
                             "stopped", "survey.h5", "sweeps", "trials"}) {
      EXPECT_TRUE(kinds.contains(kind)) << kind;
    }
  }
}

}  // namespace
}  // namespace winnow::test
