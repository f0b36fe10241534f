// Every disk access of the results goes through Files, so that tests can let each single operation
// fail or die. The three ways of writing are built here from a few operations a subclass provides:
//   write_once     a whole file appears under its name, or none; the first writer wins (link)
//   replace        a file changes from one whole state to another (rename)
//   append_synced  a line is on disk when the call returns; a torn last line is possible after a
//   crash
// Errors are Error{Io} (Error{Input} when a file to read is missing): the path and the system's
// words. Not tied to a thread; two processes may write the same names at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
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
  void replace(const Path& path, Bytes bytes);
  void replace(const Path& path, std::string_view text);
  void append_synced(const Path& path, std::string_view line);

  virtual std::vector<std::byte> read(const Path& path) = 0;
  struct End {
    std::uint64_t file_size = 0;
    std::vector<std::byte> bytes;  // the last `count`, or all
  };
  virtual End read_end(const Path& path, std::size_t count) = 0;
  // Names in a folder, sorted; a missing folder is empty. Temporary files are left out.
  virtual std::vector<std::string> list(const Path& folder) = 0;
  virtual bool exists(const Path& path) = 0;
  virtual void remove(const Path& path) = 0;  // no error if it is missing
  virtual void make_folders(const Path& folder) = 0;

 protected:
  enum class Open { New, Append };
  virtual int open(const Path& path, Open how) = 0;
  virtual void write(int file, Bytes bytes, const Path& path) = 0;
  virtual void sync(int file, const Path& path) = 0;
  virtual void close(int file, const Path& path) = 0;
  virtual bool link(const Path& from, const Path& to) = 0;  // false: `to` exists
  virtual void rename(const Path& from, const Path& to) = 0;
  virtual void sync_folder(const Path& folder) = 0;

 private:
  Path write_temporary(const Path& path, Bytes bytes);
  void discard(const Path& temporary) noexcept;
};

class PosixFiles : public Files {
 public:
  std::vector<std::byte> read(const Path& path) override;
  End read_end(const Path& path, std::size_t count) override;
  std::vector<std::string> list(const Path& folder) override;
  bool exists(const Path& path) override;
  void remove(const Path& path) override;
  void make_folders(const Path& folder) override;

 protected:
  int open(const Path& path, Open how) override;
  void write(int file, Bytes bytes, const Path& path) override;
  void sync(int file, const Path& path) override;
  void close(int file, const Path& path) override;
  bool link(const Path& from, const Path& to) override;
  void rename(const Path& from, const Path& to) override;
  void sync_folder(const Path& folder) override;
};

std::string text_of(std::span<const std::byte> bytes);
// Temporary names end in ".tmp.<host>.<process>": two writers of one result never share a temporary file.
bool is_temporary(std::string_view name);

}  // namespace winnow
