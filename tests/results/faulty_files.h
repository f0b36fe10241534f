// Real files whose n-th operation fails with an errno text, or at whose n-th operation the process
// "dies": nothing after it reaches the disk, not even tidying up. Half-way: a write is cut in the
// middle, any other operation takes effect and the death comes right after it. Reading, looking, listing and closing
// are operations too. A file system can be told to lack ways of making files.
#pragma once

#include <stdexcept>
#include <type_traits>

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
  bool no_unnamed = false, no_links = false, no_rename_new = false;

  std::vector<std::byte> read(const Path& path) override {
    return perform(path, [&] { return PosixFiles::read(path); });
  }
  End read_end(const Path& path, std::size_t count) override {
    return perform(path, [&] { return PosixFiles::read_end(path, count); });
  }
  std::vector<std::byte> read_part(const Path& path, std::uint64_t first, std::size_t count) override {
    return perform(path, [&] { return PosixFiles::read_part(path, first, count); });
  }
  std::optional<Stamp> stamp(const Path& path) override {
    return perform(path, [&] { return PosixFiles::stamp(path); });
  }
  bool is_link(const Path& path) override {
    return perform(path, [&] { return PosixFiles::is_link(path); });
  }
  void remove(const Path& path) override {
    perform(path, [&] { PosixFiles::remove(path); });
  }
  void make_folders(const Path& folder) override {
    perform(folder, [&] { PosixFiles::make_folders(folder); });
  }

 protected:
  std::vector<std::string> names(const Path& folder) override {
    return perform(folder, [&] { return PosixFiles::names(folder); });
  }
  std::optional<int> open(const Path& path, Open how) override {
    if (how == Open::Unnamed && no_unnamed) return std::nullopt;
    return perform(path, [&] { return PosixFiles::open(path, how); });
  }
  void write(int file, Bytes bytes, const Path& path) override {
    if (count_ == at_ && !dead_ && fault_ != Fault::None && fault_ != Fault::DieBefore) {
      PosixFiles::write(file, bytes.first(bytes.size() / 2), path);
      if (fault_ == Fault::DieHalfWay) die();
    }
    perform(path, [&] { PosixFiles::write(file, bytes, path); });
  }
  void sync(int file, const Path& path) override {
    perform(path, [&] { PosixFiles::sync(file, path); });
  }
  void make_read_only(int file, const Path& path) override {
    perform(path, [&] { PosixFiles::make_read_only(file, path); });
  }
  // Whatever close answers, the descriptor is gone.
  void close(int file, const Path& path) override {
    PosixFiles::close(file, path);
    perform(path, [] {});
  }
  Made link(int unnamed, const Path& to) override {
    if (no_links) return Made::Unsupported;
    return perform(to, [&] { return PosixFiles::link(unnamed, to); });
  }
  Made link(const Path& from, const Path& to) override {
    if (no_links) return Made::Unsupported;
    return perform(to, [&] { return PosixFiles::link(from, to); });
  }
  Made rename_new(const Path& from, const Path& to) override {
    if (no_rename_new) return Made::Unsupported;
    return perform(to, [&] { return PosixFiles::rename_new(from, to); });
  }
  void rename(const Path& from, const Path& to) override {
    perform(to, [&] { PosixFiles::rename(from, to); });
  }
  void sync_folder(const Path& folder) override {
    perform(folder, [&] { PosixFiles::sync_folder(folder); });
  }

 private:
  [[noreturn]] void die() {
    dead_ = true;
    throw Death();
  }

  template <class Action>
  std::invoke_result_t<Action&> perform(const Path& path, Action&& action) {
    if (dead_) throw Death();
    const bool now = count_++ == at_;
    if (now && (fault_ == Fault::NoSpace || fault_ == Fault::InputOutput)) {
      fail(ErrorKind::Io, "{}: cannot write: {}", path.string(),
           fault_ == Fault::NoSpace ? "No space left on device" : "Input/output error");
    }
    if (now && fault_ == Fault::DieHalfWay) action();
    if (now && (fault_ == Fault::DieBefore || fault_ == Fault::DieHalfWay)) die();
    return action();
  }

  Fault fault_ = Fault::None;
  int at_ = -1, count_ = 0;
  bool dead_ = false;
};

}  // namespace winnow::test
