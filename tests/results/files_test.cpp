#include "experiments/results/files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <set>

#include "tests/results/faulty_files.h"
#include "tests/results/samples.h"

namespace winnow::test {
namespace {

std::span<const std::byte> text_bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

TEST(Files, TheFirstWriterOfAFileWins) {
  TemporaryFolder folder;
  PosixFiles files;
  const auto path = folder.path() / "a/b.h5";
  EXPECT_TRUE(files.write_once(path, text_bytes("first")));
  EXPECT_FALSE(files.write_once(path, text_bytes("second")));
  EXPECT_EQ(text_of(files.read(path)), "first");
  EXPECT_EQ(files.list(folder.path() / "a"), std::vector<std::string>{"b.h5"});
}

TEST(Files, AWriterThatLosesTheRaceAfterItsCheckKeepsTheWinnersFile) {
  // Another process publishes between our look and our link.
  class Racing : public PosixFiles {
   protected:
    void sync(int file, const Path& path) override {
      PosixFiles::sync(file, path);
      std::filesystem::path final_name = path.string().substr(0, path.string().find(".tmp."));
      const int other = PosixFiles::open(final_name, Open::New).value();
      PosixFiles::write(other, text_bytes("theirs"), final_name);
      PosixFiles::close(other, final_name);
    }
  } files;
  TemporaryFolder folder;
  EXPECT_FALSE(files.write_once(folder.path() / "x", text_bytes("ours")));
  EXPECT_EQ(text_of(files.read(folder.path() / "x")), "theirs");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1) << "a temporary file is left";
}

TEST(Files, ReplaceChangesAFileFromOneWholeStateToAnother) {
  TemporaryFolder folder;
  PosixFiles files;
  files.replace(folder.path() / "r", "one");
  files.replace(folder.path() / "r", "two");
  EXPECT_EQ(text_of(files.read(folder.path() / "r")), "two");
}

// With and without unnamed files, hard links and renameat2: the same file, or nothing and a reason.
TEST(Files, EveryWayOfPublishingGivesOneWholeReadOnlyFile) {
  for (int lacking = 0; lacking < 8; ++lacking) {
    SCOPED_TRACE(lacking);
    TemporaryFolder folder;
    FaultyFiles files;
    files.no_unnamed = (lacking & 1) != 0;
    files.no_links = (lacking & 2) != 0;
    files.no_rename_new = (lacking & 4) != 0;
    const auto path = folder.path() / "a/b.h5";
    if (files.no_links && files.no_rename_new) {
      try {
        files.check_publishing(folder.path() / "a");
        ADD_FAILURE() << "nothing was thrown";
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::Site);
      }
      EXPECT_TRUE(std::filesystem::is_empty(folder.path() / "a"));
      continue;
    }
    files.check_publishing(folder.path() / "a");
    EXPECT_TRUE(std::filesystem::is_empty(folder.path() / "a"));
    EXPECT_TRUE(files.write_once(path, text_bytes("first")));
    EXPECT_FALSE(files.write_once(path, text_bytes("second")));
    EXPECT_EQ(text_of(files.read(path)), "first");
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path() / "a"), {}), 1);
    struct stat about {};
    ASSERT_EQ(::stat(path.c_str(), &about), 0);
    EXPECT_EQ(about.st_mode & 0222, 0u);
  }
}

TEST(Files, NoTwoTemporaryFilesHaveOneName) {
  // Two containers may have one host name and one process number, so neither may make a name unique.
  class Watching : public FaultyFiles {
   public:
    std::set<std::string> names;

   protected:
    std::optional<int> open(const Path& path, Open how) override {
      EXPECT_TRUE(names.insert(path).second) << path;
      return FaultyFiles::open(path, how);
    }
  } files;
  TemporaryFolder folder;
  for (int i = 0; i < 20; ++i) files.replace(folder.path() / "r", "x");
  EXPECT_EQ(files.names.size(), 20u);
}

TEST(Files, LeftoversOfDeadRunsAreClearedAndOthersAreNot) {
  TemporaryFolder folder;
  PosixFiles files;
  const auto old = folder.path() / "x.h5.tmp.0123", older_name = folder.path() / "y.h5.tmp.host.17";
  const auto young = folder.path() / "z.h5.tmp.4567", result = folder.path() / "w.h5";
  for (const auto& path : {old, older_name, young, result}) std::ofstream(path) << "x";
  const auto long_ago = std::filesystem::file_time_type::clock::now() - std::chrono::hours(2);
  for (const auto& path : {old, older_name, result}) std::filesystem::last_write_time(path, long_ago);
  files.clear_leftovers(folder.path());
  EXPECT_FALSE(files.exists(old));
  EXPECT_FALSE(files.exists(older_name));
  EXPECT_TRUE(files.exists(young)) << "a live process may be writing it";
  EXPECT_TRUE(files.exists(result));
  EXPECT_EQ(files.list(folder.path()), std::vector<std::string>{"w.h5"});
}

TEST(Files, WhatIsNoFileIsRefusedAndNotWaitedFor) {
  TemporaryFolder folder;
  const auto pipe = folder.path() / "pipe.h5";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  PosixFiles files;
  for (const std::filesystem::path& path : {pipe, folder.path(), std::filesystem::path("/dev/zero")}) {
    try {
      files.read(path);
      ADD_FAILURE() << path;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::Input) << error.what();
      EXPECT_NE(std::string(error.what()).find("not a file"), std::string::npos) << error.what();
    }
  }
}

TEST(Files, ARecordThatIsLargerThanAnyIsNotReadIntoMemory) {
  TemporaryFolder folder;
  PosixFiles files;
  const auto path = folder.path() / "record";
  files.replace(path, "12345");
  EXPECT_EQ(read_text(files, path, 5), "12345");
  std::filesystem::permissions(path, std::filesystem::perms::owner_all);
  std::filesystem::resize_file(path, std::uintmax_t{1} << 40);
  try {
    read_text(files, path);
    ADD_FAILURE() << "was read";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Input);
    EXPECT_NE(std::string(error.what()).find("its 1099511627776 bytes are more than"), std::string::npos)
        << error.what();
  }
}

// A result or a checkpoint may be large, but not as this one, which is a hole on disk.
TEST(Files, AFileOfMoreThanHalfOfTheMemoryIsNotRead) {
  TemporaryFolder folder;
  PosixFiles files;
  const auto path = folder.path() / "trial.h5";
  std::ofstream(path) << "12345";
  std::filesystem::resize_file(path, std::uintmax_t{1} << 43);
  try {
    files.read(path);
    ADD_FAILURE() << "was read";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Input);
    EXPECT_NE(std::string(error.what()).find("8796093022208 bytes are more than half of this machine's memory"),
              std::string::npos)
        << error.what();
  }
}

TEST(Files, ErrorsNameThePathAndTheSystemsReason) {
  TemporaryFolder folder;
  PosixFiles files;
  try {
    files.read(folder.path() / "absent.h5");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Input);
    EXPECT_NE(std::string(error.what()).find("absent.h5: cannot read: No such file or directory"), std::string::npos);
  }
  // A file where a folder is needed fails for every user, root included.
  files.replace(folder.path() / "file", "x");
  try {
    files.write_once(folder.path() / "file/inside.h5", text_bytes("x"));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Io);
    EXPECT_NE(std::string(error.what()).find("Not a directory"), std::string::npos) << error.what();
  }
}

TEST(Files, NoPermissionIsOneLine) {
  TemporaryFolder folder;
  ::chmod(folder.path().c_str(), 0555);
  // Permissions do not bind root, so a test run by root becomes nobody for a moment.
  const uid_t user = ::geteuid();
  if (user == 0) {
    ASSERT_EQ(::seteuid(65534), 0);
  }
  try {
    PosixFiles().write_once(folder.path() / "x", text_bytes("x"));
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Io);
    EXPECT_NE(std::string(error.what()).find("Permission denied"), std::string::npos);
  }
  if (user == 0) {
    ASSERT_EQ(::seteuid(0), 0);
  }
  ::chmod(folder.path().c_str(), 0755);
}

TEST(Files, AFullDiskLeavesTheOldFileAndNoTemporary) {
  const auto run = [](PosixFiles& files, const std::filesystem::path& path) { files.replace(path, "new content"); };
  FaultyFiles counting;
  {
    TemporaryFolder folder;
    run(counting, folder.path() / "r");
  }
  for (const Fault fault : {Fault::NoSpace, Fault::InputOutput}) {
    for (int at = 0; at < counting.operations() - 1;
         ++at) {  // the last one, syncing the folder, comes after the rename
      TemporaryFolder folder;
      PosixFiles sound;
      sound.replace(folder.path() / "r", "old");
      FaultyFiles files(fault, at);
      EXPECT_THROW(run(files, folder.path() / "r"), Error) << at;
      EXPECT_EQ(text_of(sound.read(folder.path() / "r")), "old") << at;
      EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1) << at;
    }
  }
}

}  // namespace
}  // namespace winnow::test
