// Real files whose n-th operation fails with an errno text, or at whose n-th operation the process
// "dies": nothing after it reaches the disk, not even tidying up. Half-way: a write is cut in the
// middle, any other operation takes effect and the death comes right after it.
#pragma once

#include <stdexcept>

#include "core/error.h"
#include "experiments/results/files.h"

namespace winnow::test {

struct Death : std::runtime_error {
  Death() : std::runtime_error("died") {}
};

enum class Fault { None, NoSpace, InputOutput, DieBefore, DieHalfWay };

class FaultyFiles : public PosixFiles {
 public:
  FaultyFiles() = default;
  FaultyFiles(Fault fault, int at) : fault_(fault), at_(at) {}
  int operations() const { return count_; }

  void remove(const Path& path) override {
    perform(path, [&] { PosixFiles::remove(path); });
  }
  void make_folders(const Path& folder) override {
    perform(folder, [&] { PosixFiles::make_folders(folder); });
  }

 protected:
  int open(const Path& path, Open how) override {
    int file = -1;
    perform(path, [&] { file = PosixFiles::open(path, how); });
    return file;
  }
  void write(int file, Bytes bytes, const Path& path) override {
    if (count_ == at_ && !dead_ && fault_ != Fault::None && fault_ != Fault::DieBefore) {
      PosixFiles::write(file, bytes.first(bytes.size() / 2), path);
    }
    perform(
        path, [&] { PosixFiles::write(file, bytes, path); }, true);
  }
  void sync(int file, const Path& path) override {
    perform(path, [&] { PosixFiles::sync(file, path); });
  }
  void close(int file, const Path& path) override { PosixFiles::close(file, path); }
  bool link(const Path& from, const Path& to) override {
    bool made = false;
    perform(to, [&] { made = PosixFiles::link(from, to); });
    return made;
  }
  void rename(const Path& from, const Path& to) override {
    perform(to, [&] { PosixFiles::rename(from, to); });
  }
  void sync_folder(const Path& folder) override {
    perform(folder, [&] { PosixFiles::sync_folder(folder); });
  }

 private:
  template <class Action>
  void perform(const Path& path, Action&& action, bool half_done = false) {
    if (dead_) throw Death();
    const bool now = count_++ == at_;
    if (now && (fault_ == Fault::NoSpace || fault_ == Fault::InputOutput)) {
      fail(ErrorKind::Io, "{}: cannot write: {}", path.string(),
           fault_ == Fault::NoSpace ? "No space left on device" : "Input/output error");
    }
    if (now && (fault_ == Fault::DieBefore || fault_ == Fault::DieHalfWay)) {
      if (fault_ == Fault::DieHalfWay && !half_done) action();
      dead_ = true;
      throw Death();
    }
    action();
  }

  Fault fault_ = Fault::None;
  int at_ = -1, count_ = 0;
  bool dead_ = false;
};

}  // namespace winnow::test
