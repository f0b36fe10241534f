// Every disk access of the results, but for what the HDF5 library writes to a Draft, goes through Files, so that tests can
// let each single operation fail or die. The ways of writing are built here from a few operations a subclass provides:
//   write_once     a whole read-only file appears under its name, or none; the first writer wins
//   replace        a file changes from one whole state to another (rename)
// Errors are Error{Io} (Error{Input} when a file to read is missing or no file): the path and the system's
// words. Two processes may write the same names at once, and all threads of one may use its PosixFiles.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace winnow {

class Files {
 public:
  using Path = std::filesystem::path;
  using Bytes = std::span<const std::byte>;
  virtual ~Files() = default;

  // True: this call made the file. False: it was there before and is unchanged.
  bool write_once(const Path& path, Bytes bytes);
  struct Manner {
    bool read_only = false;
    bool synced = true;  // on disk when the call returns; a courtesy such as a heartbeat need not be
  };
  void replace(const Path& path, Bytes bytes, Manner manner = Manner{.read_only = false, .synced = true});
  void replace(const Path& path, std::string_view text, Manner manner = Manner{.read_only = false, .synced = true});

  // A large file on its way to its name, beside it: empty at first, filled by whoever is told its place, gone with this
  // object unless it was published.
  class Draft {
   public:
    Draft(Files& files, Path to);
    ~Draft();
    Draft(const Draft&) = delete;
    Draft& operator=(const Draft&) = delete;
    const Path& place() const { return place_; }
    // Puts `end` behind what is there, and the whole, read-only and saved, in the place of what had the name.
    void publish(Bytes end);

   private:
    Files& files_;
    Path to_, place_;
    bool published_ = false;
  };

  // A file that grows and is never opened for writing again: what a killed process leaves at its end is not written over.
  class Growing {
   public:
    Growing(Files& files, int file, Path path) : files_(files), file_(file), path_(std::move(path)) {}
    ~Growing();
    Growing(const Growing&) = delete;
    Growing& operator=(const Growing&) = delete;
    void append(Bytes bytes) { files_.write(file_, bytes, path_); }
    void sync() { files_.sync(file_, path_); }

   private:
    Files& files_;
    int file_;
    Path path_;
  };
  std::unique_ptr<Growing> grow(const Path& path);  // nothing: there is a file of this name

  // Publishes and removes a small file in `folder`, which is made if it is missing. Error{Site} if nothing can be
  // published on its file system.
  void check_publishing(const Path& folder);
  // Removes temporary files that no live process can still be writing: older than kDeadAfter by the clock of the
  // file system, which is younger than any of its files.
  void clear_leftovers(const Path& folder);
  // The same of one file, in a folder where others may have files of such names. Failing to is no error.
  void clear_leftovers_of(const Path& file);
  static constexpr std::int64_t kDeadAfter = 3600;  // s; a file is written in seconds, and a draft grows all the time

  virtual std::vector<std::byte> read(const Path& path) = 0;
  struct End {
    std::uint64_t file_size = 0;
    std::vector<std::byte> bytes;  // the last `count`, or all
  };
  virtual End read_end(const Path& path, std::size_t count) = 0;
  // `count` bytes from `first` on; fewer where the file ends.
  virtual std::vector<std::byte> read_part(const Path& path, std::uint64_t first, std::size_t count) = 0;
  // Names in a folder, sorted; a missing folder is empty. Temporary files are left out.
  std::vector<std::string> list(const Path& folder);

  // What tells one state of a file from another without reading it.
  struct Stamp {
    std::uint64_t size = 0, inode = 0;
    std::int64_t modified = 0, changed = 0;  // ns since 1970
    bool is_folder = false;
    bool operator==(const Stamp&) const = default;
  };
  virtual std::optional<Stamp> stamp(const Path& path) = 0;  // nothing: no such file; Error{Input}: a link to nothing
  bool exists(const Path& path) { return stamp(path).has_value(); }
  bool is_folder(const Path& path);
  virtual bool is_link(const Path& path) = 0;  // wherever it leads
  // A file, or a folder if it is empty; no error if it is missing.
  virtual void remove(const Path& path) = 0;
  virtual void make_folders(const Path& folder) = 0;

 protected:
  enum class Open { New, NewReadOnly, Unnamed, Append };
  enum class Made { Yes, Exists, Unsupported };
  virtual std::vector<std::string> names(const Path& folder) = 0;  // all of them; a missing folder is empty
  // Makes missing folders of `path`. Unnamed: a read-only file without a name beside `path`; nothing where the file
  // system has none. Append: a file that is there.
  virtual std::optional<int> open(const Path& path, Open how) = 0;
  virtual void write(int file, Bytes bytes, const Path& path) = 0;
  virtual void sync(int file, const Path& path) = 0;
  virtual void make_read_only(int file, const Path& path) = 0;
  virtual void close(int file, const Path& path) = 0;
  // Three ways to give a whole file its name, which must be free.
  virtual Made link(int unnamed, const Path& to) = 0;
  virtual Made link(const Path& from, const Path& to) = 0;
  virtual Made rename_new(const Path& from, const Path& to) = 0;
  virtual void rename(const Path& from, const Path& to) = 0;
  virtual void sync_folder(const Path& folder) = 0;

 private:
  enum class Way { Unnamed, Link, Rename, None };
  void clear(const Path& folder, const std::function<bool(std::string_view name)>& is_leftover);
  Made make(const Path& path, Bytes bytes);
  Made make_unnamed(const Path& path, Bytes bytes);
  Path write_temporary(const Path& path, Bytes bytes, Manner manner);
  void finish(int file, const Path& temporary, Bytes bytes, Manner manner);
  void close_quietly(int file, const Path& path) noexcept;
  void discard(const Path& temporary) noexcept;

  std::atomic<Way> way_ = Way::Unnamed;  // the first that works here
};

class PosixFiles : public Files {
 public:
  std::vector<std::byte> read(const Path& path) override;
  End read_end(const Path& path, std::size_t count) override;
  std::vector<std::byte> read_part(const Path& path, std::uint64_t first, std::size_t count) override;
  std::optional<Stamp> stamp(const Path& path) override;
  bool is_link(const Path& path) override;
  void remove(const Path& path) override;
  void make_folders(const Path& folder) override;

 protected:
  std::vector<std::string> names(const Path& folder) override;
  std::optional<int> open(const Path& path, Open how) override;
  void write(int file, Bytes bytes, const Path& path) override;
  void sync(int file, const Path& path) override;
  void make_read_only(int file, const Path& path) override;
  void close(int file, const Path& path) override;
  Made link(int unnamed, const Path& to) override;
  Made link(const Path& from, const Path& to) override;
  Made rename_new(const Path& from, const Path& to) override;
  void rename(const Path& from, const Path& to) override;
  void sync_folder(const Path& folder) override;

 private:
  struct Range {
    std::uint64_t first;
    std::size_t count;
  };
  static End read_range(const Path& path, const std::function<Range(std::uint64_t size)>& range);
};

std::string text_of(std::span<const std::byte> bytes);
// Of files that others may have put there, sparse and of any size. Error{Input} for one of more than `most` bytes.
inline constexpr std::size_t kMostRecord = std::size_t{16} << 20, kMostTable = std::size_t{1} << 30;
std::vector<std::byte> read_at_most(Files& files, const std::filesystem::path& path, std::size_t most);
std::string read_text(Files& files, const std::filesystem::path& path, std::size_t most = kMostRecord);
// Temporary names end in ".tmp.<128 random bits>": no two writers share a temporary file, on whatever machines.
bool is_temporary(std::string_view name);

}  // namespace winnow
