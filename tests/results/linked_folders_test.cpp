// A directory of a stranger with links in it: nothing is written or removed where they lead. What a user links himself works.
#include "experiments/results/checkpoint_file.h"
#include "experiments/results/layout.h"
#include "experiments/results/status.h"
#include "tests/training/run_fixture.h"
#include "tests/tree_state.h"

namespace winnow::test {
namespace {

namespace fs = std::filesystem;

class LinkedFolders : public RunFixture {
 protected:
  LinkedFolders() : RunFixture("  - replicate: 2\n") {}
  void SetUp() override {
    RunFixture::SetUp();
    ASSERT_EQ(winnow({"run"}).code, 0);
    // Names that winnow removes where it finds them in its own folders.
    const std::string name = trials().name(0);
    for (const std::string& file : {std::string("00000001.ck"), std::string("00000001.crash"), name + ".h5",
                                    name + ".1.up", std::string("x.h5.tmp.0123")}) {
      files_.replace(elsewhere() / file, "of somebody else");
      fs::last_write_time(elsewhere() / file, fs::file_time_type::clock::now() - std::chrono::hours(2));
    }
  }
  fs::path elsewhere() const { return folder_ / "elsewhere"; }
  RunSaid ask(const std::vector<std::string>& args) const {
    std::ostringstream text, errors;
    const int code = run_command_line(args, text, errors);
    return {code, text.str(), errors.str()};
  }
};

TEST_F(LinkedFolders, NothingIsRemovedOrWrittenWhereTheyLead) {
  const Layout layout(out());
  const std::string name = trials().name(0);
  const fs::path result = layout.trial(name);
  for (const fs::path& link : {layout.checkpoints(name), result.parent_path(), layout.stopped(name).parent_path(),
                               layout.rungs() / "0c4e71", layout.rungs() / "0c4e72/past"}) {
    SCOPED_TRACE(link);
    fs::create_directories(link.parent_path());
    const fs::path aside = folder_ / "aside";
    if (fs::exists(link)) fs::rename(link, aside);
    fs::create_directory_symlink(elsewhere(), link);
    const TreeState before = tree_state(elsewhere());
    const std::string why = link.string() + ": is a link, and winnow would write and remove files where it leads";
    for (const RunSaid& said :
         {winnow({"run"}), winnow({"run", "--set", "train.lr=0.02"}), winnow({"retry"}),
          ask({"forget", out().string(), "--trial", name, "--yes"}), ask({"retry", out().string(), "--trial", name})}) {
      EXPECT_EQ(said.code, 66) << said.err;
      EXPECT_TRUE(said.has(why)) << said.err;
    }
    EXPECT_TRUE(is_untouched(elsewhere(), before));
    fs::remove(link);
    if (fs::exists(aside)) fs::rename(aside, link);
  }
  EXPECT_EQ(winnow({"run"}).code, 0);
}

// Such as a list of favourites, or a README of the owner.
TEST_F(LinkedFolders, ALinkToAFileKeepsNobodyFromHisResults) {
  const Layout layout(out());
  fs::create_symlink(elsewhere() / "00000001.ck", layout.trials() / "best.h5");
  const TreeState before = tree_state(elsewhere());
  EXPECT_EQ(winnow({"run", "--set", "train.lr=0.02"}).code, 0);
  EXPECT_TRUE(is_untouched(elsewhere(), before));
  EXPECT_TRUE(fs::is_symlink(layout.trials() / "best.h5"));
}

TEST_F(LinkedFolders, TheDirectoryItselfAndItsFoldersMayBeOnAnotherDisk) {
  const fs::path other = folder_ / "other-disk", real = other / "out";
  fs::create_directories(other);
  fs::rename(out(), real);
  fs::create_directory_symlink(real, out());
  for (const char* top : {"trials", "checkpoints", "stopped", "rungs"}) {
    fs::create_directories(real / top);
    fs::rename(real / top, other / top);
    fs::create_directory_symlink(other / top, real / top);
  }
  const RunSaid said = winnow({"run", "--set", "train.lr=0.02"});
  EXPECT_EQ(said.code, 0);
  EXPECT_TRUE(said.has("2 trained")) << said.err;
  EXPECT_EQ(published_trials(files_, out()).size(), 4u);
  EXPECT_EQ(std::distance(fs::recursive_directory_iterator(other / "trials"), {}) >= 5, true);
  EXPECT_EQ(ask({"forget", out().string(), "--trial", trials().name(0), "--yes"}).code, 0);
  EXPECT_FALSE(files_.exists(Layout(out()).trial(trials().name(0))));
}

}  // namespace
}  // namespace winnow::test
