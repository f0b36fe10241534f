#include "experiments/results/trial_file.h"
#include "experiments/results/trial_record.h"

#include <gtest/gtest.h>
#include <hdf5.h>

#include <bit>
#include <cstring>
#include <set>

#include "core/error.h"
#include "experiments/results/container.h"
#include "experiments/results/layout.h"
#include "tests/results/faulty_files.h"
#include "tests/results/samples.h"

namespace winnow::test {
namespace {

template <class T>
const T& values_of(const Table& table, const std::string& name) {
  const Column* column = find_column(table, name);
  if (column == nullptr) throw std::runtime_error("no column " + name);
  return std::get<T>(column->values);
}

std::filesystem::path published(const TemporaryFolder& folder, const TrialResult& result) {
  PosixFiles files;
  EXPECT_EQ(publish(files, folder.path(), result, kCreated), Published::New);
  return Layout(folder.path()).trial(result.spec.name());
}

ErrorKind kind_of_reading(const std::filesystem::path& path, std::string* text = nullptr) {
  try {
    read_trial(path);
  } catch (const Error& error) {
    if (text) *text = error.what();
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << "more than one line";
    return error.kind();
  }
  return ErrorKind::Internal;
}

TEST(TrialFile, EverythingButTheWeightsComesBack) {
  TemporaryFolder folder;
  TrialResult result = sample_trial();
  result.outcome = Outcome::Diverged;
  result.reason = "loss became non-finite at step 812";
  const TrialResult back = read_trial(published(folder, result));
  EXPECT_EQ(back.spec.name(), result.spec.name());
  EXPECT_EQ(back.spec.canonical(), result.spec.canonical());
  EXPECT_EQ(back.spec.settings, result.spec.settings);
  EXPECT_EQ(back.outcome, Outcome::Diverged);
  EXPECT_EQ(back.reason, result.reason);
  EXPECT_EQ(back.summary, result.summary);
  EXPECT_EQ(values_of<std::vector<double>>(back.epochs, "test_acc"), (std::vector<double>{0.5, 0.8, 0.9}));
  EXPECT_EQ(find_column(back.epochs, "test_acc")->mode, "max");
  EXPECT_EQ(values_of<std::vector<std::string>>(back.events, "what"), std::vector<std::string>{"grown"});
  EXPECT_EQ(back.provenance.at("data|mnist"), "sha256:00");
  EXPECT_EQ(back.lineage, result.lineage);
}

TEST(TrialFile, LayersSayHowEachTensorIsStored) {
  TemporaryFolder folder;
  const TrialResult back = read_trial(published(folder, sample_trial()));
  EXPECT_EQ(values_of<std::vector<std::string>>(back.layers, "name"),
            (std::vector<std::string>{"conv.weight", "fc.weight", "fc.bias"}));
  EXPECT_EQ(values_of<std::vector<std::string>>(back.layers, "kind"), (std::vector<std::string>{"conv", "linear", ""}));
  EXPECT_EQ(values_of<std::vector<std::string>>(back.layers, "form"),
            (std::vector<std::string>{"csr", "overlay", "dense"}));
  const auto& stored = values_of<std::vector<std::int64_t>>(back.layers, "stored_bytes");
  EXPECT_EQ(stored[0], values_of<std::vector<std::int64_t>>(back.layers, "bytes.csr")[0]);
  EXPECT_LT(stored[0], values_of<std::vector<std::int64_t>>(back.layers, "bytes.dense")[0]);
  EXPECT_EQ(values_of<std::vector<std::int64_t>>(back.layers, "bytes.seed")[0], -1);
}

TEST(TrialFile, TheSameResultGivesTheSameBytes) {
  const TrialResult result = sample_trial();
  const auto first = encode_trial(result, kCreated);
  // Heap memory with other contents must not leak into the file.
  for (int size = 1; size < 1 << 22; size *= 3) std::vector<char>(static_cast<std::size_t>(size), 'x');
  EXPECT_EQ(first, encode_trial(result, kCreated));
}

TEST(TrialFile, TheContentDigestCoversResultsButNotTimesAndProvenance) {
  const auto digest = [](const TrialResult& result, const std::string& created) {
    TemporaryFolder folder;
    PosixFiles files;
    publish(files, folder.path(), result, created);
    return read_header(files, Layout(folder.path()).trial(result.spec.name())).content_digest;
  };
  const TrialResult result = sample_trial();
  const std::string usual = digest(result, kCreated);
  EXPECT_EQ(usual.size(), 64u);
  TrialResult other = result;
  other.provenance["host"] = "n2";
  other.summary["seconds.total"] = 99;
  std::get<std::vector<double>>(other.epochs.columns[2].values)[0] = 77;
  EXPECT_EQ(digest(other, "2027-01-01T00:00:00Z"), usual);
  for (const auto& [key, value] : {std::pair{"label", "mine"},
                                   {"data.root", "/elsewhere"},
                                   {"init.from", "copy.h5"},
                                   {"ranks", "4"},
                                   {"save.weights.when", "end"}}) {
    other = result;
    other.spec.settings.set(key, value);
    EXPECT_EQ(digest(other, kCreated), usual) << key;
    TemporaryFolder folder;
    EXPECT_EQ(read_trial(published(folder, other)).spec.settings, other.spec.settings);
  }
  other = result;
  other.spec.settings.set("train.lr", "0.2");
  EXPECT_NE(digest(other, kCreated), usual);
  other = result;
  other.summary["final.test_acc"] += 1e-9;
  EXPECT_NE(digest(other, kCreated), usual);
  other = result;
  other.weights[0].values[0] = 0.5f;
  EXPECT_NE(digest(other, kCreated), usual);
  other = result;
  other.lineage["start"] = "aa12";
  EXPECT_NE(digest(other, kCreated), usual);
}

TEST(TrialFile, TheContentDigestDoesNotDependOnWhatOtherTrialsAreCalled) {
  PosixFiles files;
  std::set<std::string> digests;
  for (const char* label : {"big", "large"}) {
    TemporaryFolder folder;
    TrialResult result = sample_trial();
    result.spec.needs = {{"born_again", "teacher", "method.teacher", "x"}};
    result.spec.settings.set("method.teacher", label);
    const auto path = published(folder, result);
    EXPECT_EQ(read_trial(path).spec.settings, result.spec.settings);
    digests.insert(read_header(files, path).content_digest);
  }
  EXPECT_EQ(digests.size(), 1u);
}

TEST(TrialFile, TheNoteAtTheEndSaysWhatStatusNeeds) {
  TemporaryFolder folder;
  TrialResult result = sample_trial();
  result.outcome = Outcome::Diverged;
  PosixFiles files;
  const auto path = published(folder, result);
  const TrialNote note = read_note(files, path);
  EXPECT_EQ(note.outcome, Outcome::Diverged);
  EXPECT_EQ(note.created, kCreated);
  EXPECT_EQ(note.seconds, 12.5);
  const TrialNote checked = check_result(files, path);
  EXPECT_EQ(checked.name, note.name);
  EXPECT_EQ(checked.created, note.created);
  auto bytes = files.read(path);
  bytes.resize(bytes.size() / 2);
  files.replace(path, std::span<const std::byte>(bytes));
  EXPECT_THROW(read_note(files, path), Error);
  bytes = encode_trial(result, kCreated);
  bytes.pop_back();
  files.replace(path, std::span<const std::byte>(bytes));
  EXPECT_EQ(read_note(files, path).created, kCreated) << "the seal is damaged, the content is whole";
}

TEST(TrialFile, AFailedTrialHasNoResultFile) {
  TrialResult result = sample_trial();
  result.outcome = Outcome::Failed;
  EXPECT_THROW(encode_trial(result, kCreated), Error);
}

TEST(TrialFile, PublishingAgainKeepsTheFirstResult) {
  TemporaryFolder folder;
  TrialResult result = sample_trial();
  const auto path = published(folder, result);
  PosixFiles files;
  const auto before = files.read(path);
  result.summary["final.test_acc"] = 0.1;
  EXPECT_EQ(publish(files, folder.path(), result, kCreated), Published::AlreadyThere);
  EXPECT_EQ(files.read(path), before);
}

TEST(TrialFile, EveryTruncationAndEveryFlippedByteIsFoundAndNothingIsChanged) {
  TemporaryFolder folder;
  const auto path = published(folder, sample_trial());
  PosixFiles files;
  const auto whole = files.read(path);
  // Without the record behind it the HDF5 content is whole, and judged by its digest.
  const Unsealed content = unsealed(whole);
  const std::size_t end = content.image.size() - record_place(content.note)->bytes;
  for (std::size_t size = 0; size < end; size += 4001) {
    files.replace(path, std::span(whole).first(size));
    EXPECT_EQ(kind_of_reading(path), ErrorKind::Input) << size;
    EXPECT_EQ(files.read(path).size(), size);
  }
  for (std::size_t place = 0; place < whole.size(); place += 4003) {
    auto damaged = whole;
    damaged[place] ^= std::byte{0x10};
    files.replace(path, std::span<const std::byte>(damaged));
    EXPECT_EQ(kind_of_reading(path), ErrorKind::Input) << place;
  }
}

// The HDF5 content after another program had it open for writing.
class ChangedTrial : public ::testing::Test {
 protected:
  void SetUp() override {
    path_ = published(folder_, sample_trial());
    const auto whole = files_.read(path_);
    files_.replace(path_, unsealed(whole).image);
    id_ = H5Fopen(path_.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
    ASSERT_GE(id_, 0);
  }
  void set_number(const char* object, double value) {
    const hid_t dataset = H5Dopen2(id_, object, H5P_DEFAULT);
    ASSERT_GE(H5Dwrite(dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, &value), 0);
    H5Dclose(dataset);
  }

  TemporaryFolder folder_;
  PosixFiles files_;
  std::filesystem::path path_;
  hid_t id_ = -1;
};

TEST_F(ChangedTrial, NotesAtItsTopAreAllowed) {
  H5Gclose(H5Gcreate2(id_, "notes", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
  const hid_t space = H5Screate(H5S_SCALAR);
  H5Aclose(H5Acreate2(id_, "seen_by", H5T_STD_I32LE, space, H5P_DEFAULT, H5P_DEFAULT));
  H5Sclose(space);
  H5Fclose(id_);
  EXPECT_EQ(check_result(files_, path_).name, sample_trial().spec.name());
  EXPECT_EQ(read_note(files_, path_).seconds, 12.5);
  EXPECT_EQ(read_trial(path_).summary, sample_trial().summary);
  EXPECT_EQ(load_weights(path_).size(), 3u);
}

TEST_F(ChangedTrial, AnotherAccuracyIsNot) {
  set_number("summary/final.test_acc", 0.99);
  H5Fclose(id_);
  std::string text;
  EXPECT_EQ(kind_of_reading(path_, &text), ErrorKind::Input);
  EXPECT_NE(text.find("does not match its digest"), std::string::npos) << text;
  EXPECT_THROW(check_result(files_, path_), Error);
}

// No digest covers /provenance, so it decides nothing.
TEST_F(ChangedTrial, ASettingIsNotReadWhereNoDigestCoversIt) {
  const char* texts[] = {R"({"train.lr": "0.7", "label": "mine"})", "no JSON"};
  for (const char* text : texts) {
    H5Ldelete(id_, "provenance/settings", H5P_DEFAULT);
    const hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR);
    H5Tset_size(type, std::strlen(text));
    H5Tset_cset(type, H5T_CSET_UTF8);
    const hid_t dataset = H5Dcreate2(id_, "provenance/settings", type, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    EXPECT_GE(H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, text), 0);
    H5Dclose(dataset);
    H5Sclose(space);
    H5Tclose(type);
    H5Fflush(id_, H5F_SCOPE_GLOBAL);
    const Settings settings = read_trial(path_).spec.settings;
    EXPECT_EQ(settings.text("train.lr"), "0.1") << text;
    EXPECT_EQ(settings.has("label"), text == texts[0]);
  }
  H5Fclose(id_);
}

TEST_F(ChangedTrial, WhatTheMachineDecidedIsNoPartOfTheContent) {
  set_number("summary/seconds.total", 13);
  H5Fclose(id_);
  EXPECT_EQ(check_result(files_, path_).seconds, 13);
}

TEST(TrialFile, OtherFilesAreRefused) {
  TemporaryFolder folder;
  PosixFiles files;
  files.replace(folder.path() / "x.h5", "this is no result file at all, but longer than a trailer");
  EXPECT_EQ(kind_of_reading(folder.path() / "x.h5"), ErrorKind::Input);
  files.replace(folder.path() / "x.h5", "");
  EXPECT_EQ(kind_of_reading(folder.path() / "x.h5"), ErrorKind::Input);
}

TEST(TrialFile, AFileOfANewerMajorVersionIsRefusedInOneLine) {
  TemporaryFolder folder;
  PosixFiles files;
  Hdf5File file = Hdf5File::create();
  file.set("/", "schema", "winnow-trial");
  file.set("/", "schema_version", "2.0");
  files.replace(folder.path() / "new.h5", std::span<const std::byte>(sealed(file.bytes())));
  std::string text;
  EXPECT_EQ(kind_of_reading(folder.path() / "new.h5", &text), ErrorKind::Settings);
  EXPECT_NE(text.find("schema version 2.0"), std::string::npos) << text;
}

TEST(TrialFile, AMinorVersionWithUnknownMembersIsRead) {
  TemporaryFolder folder;
  PosixFiles files;
  const auto path = published(folder, sample_trial());
  const auto whole = files.read(path);
  const Hdf5File from = Hdf5File::from_bytes(unsealed(whole).image, "old");
  Hdf5File file = Hdf5File::create();
  for (const auto& name : from.children("/")) file.copy_from(from, "/" + name, "/" + name);
  for (const auto* name : {"schema", "id", "state", "reason", "created", "writer", "content_digest"}) {
    file.set("/", name, from.text("/", name));
  }
  file.set("/", "replicate", from.integer("/", "replicate"));
  file.set("/", "schema_version", "1.7");
  file.write_number("/new_member", 3);
  files.replace(path, std::span<const std::byte>(sealed(file.bytes())));
  EXPECT_EQ(read_trial(path).summary, sample_trial().summary);
}

TEST(TrialFile, KilledAtAnyOperationNothingIsUnreadableAndARerunFinishes) {
  const TrialResult first = sample_trial(1), second = sample_trial(2);
  FaultyFiles counting;
  {
    TemporaryFolder folder;
    published(folder, first);
    publish(counting, folder.path(), second, kCreated);
  }
  ASSERT_GT(counting.operations(), 6);
  for (const Fault fault : {Fault::DieBefore, Fault::DieHalfWay, Fault::NoSpace, Fault::InputOutput}) {
    for (int at = 0; at < counting.operations(); ++at) {
      TemporaryFolder folder;
      const auto kept = published(folder, first);
      const auto path = Layout(folder.path()).trial(second.spec.name());
      FaultyFiles files(fault, at);
      EXPECT_ANY_THROW(publish(files, folder.path(), second, kCreated)) << at;
      PosixFiles sound;
      EXPECT_EQ(read_trial(kept).summary, first.summary);
      if (sound.exists(path)) {
        EXPECT_EQ(read_trial(path).summary, second.summary) << at;
      }
      publish(sound, folder.path(), second, kCreated);
      EXPECT_EQ(sound.read(path), encode_trial(second, kCreated)) << at;
    }
  }
}

}  // namespace
}  // namespace winnow::test
