// Files on a POSIX system.
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <stdexcept>
#include <system_error>

#include "core/error.h"
#include "experiments/results/files.h"

namespace winnow {
namespace {

[[noreturn]] void io_error(const std::filesystem::path& path, const char* verb, int code) {
  const auto kind = code == ENOENT && std::string_view(verb) == "read" ? ErrorKind::Input : ErrorKind::Io;
  fail(kind, "{}: cannot {}: {}", path.string(), verb, std::generic_category().message(code));
}

std::int64_t nanoseconds(const timespec& time) { return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec; }

// What a file system answers that does not know a way of making files; FAT and some FUSE systems say EPERM.
bool is_unsupported(int code) {
  return code == EPERM || code == ENOTSUP || code == EOPNOTSUPP || code == ENOSYS || code == EINVAL;
}

}  // namespace

// A file that others put here can be sparse and of any size; what reads it takes as much again.
std::vector<std::byte> PosixFiles::read(const Path& path) {
  static const std::uint64_t most =
      static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)) / 2;
  const auto whole = [&](std::uint64_t size) {
    if (size <= most) return Range{0, static_cast<std::size_t>(size)};
    fail(ErrorKind::Input, "{}: its {} bytes are more than half of this machine's memory", path.string(), size);
  };
  return read_range(path, whole).bytes;
}

// The whole file, or what `range` says of a file of so many bytes: where to begin, and how many.
Files::End PosixFiles::read_range(const Path& path, const std::function<Range(std::uint64_t size)>& range) {
  // Opening a named pipe would wait for its writer, and a device has no end.
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (file < 0) io_error(path, "read", errno);
  const std::unique_ptr<const int, void (*)(const int*)> closing(&file, [](const int* f) { ::close(*f); });
  struct stat about {};
  if (::fstat(file, &about) != 0) io_error(path, "read", errno);
  if (!S_ISREG(about.st_mode)) {
    fail(ErrorKind::Input, "{}: is a {}, not a file", path.string(),
         S_ISDIR(about.st_mode)    ? "folder"
         : S_ISFIFO(about.st_mode) ? "named pipe"
                                   : "device");
  }
  End end;
  end.file_size = static_cast<std::uint64_t>(about.st_size);
  const auto [first, count] = range(end.file_size);
  try {
    end.bytes.resize(count);
  } catch (const std::bad_alloc&) {
    fail(ErrorKind::Input, "{}: its {} bytes do not fit into memory", path.string(), count);
  } catch (const std::length_error&) {
    fail(ErrorKind::Input, "{}: its {} bytes do not fit into memory", path.string(), count);
  }
  for (std::size_t done = 0; done < end.bytes.size();) {
    const ssize_t got =
        ::pread(file, end.bytes.data() + done, end.bytes.size() - done, static_cast<off_t>(first + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) io_error(path, "read", errno);
    if (got == 0) end.bytes.resize(done);  // it became shorter while we read
    done += static_cast<std::size_t>(got);
  }
  return end;
}

Files::End PosixFiles::read_end(const Path& path, std::size_t count) {
  return read_range(path, [&](std::uint64_t size) {
    const auto bytes = static_cast<std::size_t>(std::min<std::uint64_t>(count, size));
    return Range{size - bytes, bytes};
  });
}

std::vector<std::byte> PosixFiles::read_part(const Path& path, std::uint64_t first, std::size_t count) {
  const auto range = [&](std::uint64_t size) {
    return Range{first, static_cast<std::size_t>(std::min<std::uint64_t>(count, size - std::min(size, first)))};
  };
  return read_range(path, range).bytes;
}

std::vector<std::string> PosixFiles::names(const Path& folder) {
  const std::unique_ptr<DIR, int (*)(DIR*)> handle(::opendir(folder.c_str()), ::closedir);
  if (!handle) {
    if (errno == ENOENT || errno == ENOTDIR) return {};
    io_error(folder, "list", errno);
  }
  std::vector<std::string> all;
  for (;;) {
    errno = 0;  // the only way to tell an error from the end
    const dirent* entry = ::readdir(handle.get());
    if (entry == nullptr) break;
    const std::string name = entry->d_name;
    if (name != "." && name != "..") all.push_back(name);
  }
  if (errno != 0) io_error(folder, "list", errno);
  return all;
}

std::optional<Files::Stamp> PosixFiles::stamp(const Path& path) {
  struct stat about {};
  while (::stat(path.c_str(), &about) != 0) {
    if (errno != ENOENT && errno != ENOTDIR) io_error(path, "look at", errno);
    if (::lstat(path.c_str(), &about) != 0) return std::nullopt;
    // The name is taken all the same, and nothing could be published under it. What is no link came between the two looks.
    if (S_ISLNK(about.st_mode)) fail(ErrorKind::Input, "{}: is a link to nothing", path.string());
  }
  return Stamp{static_cast<std::uint64_t>(about.st_size), about.st_ino, nanoseconds(about.st_mtim),
               nanoseconds(about.st_ctim), S_ISDIR(about.st_mode)};
}

bool PosixFiles::is_link(const Path& path) {
  struct stat about {};
  if (::lstat(path.c_str(), &about) == 0) return S_ISLNK(about.st_mode);
  if (errno != ENOENT && errno != ENOTDIR) io_error(path, "look at", errno);
  return false;
}

void PosixFiles::remove(const Path& path) {
  if (::remove(path.c_str()) == 0 || errno == ENOENT || errno == ENOTEMPTY || errno == EEXIST) return;
  io_error(path, "remove", errno);
}

void PosixFiles::make_folders(const Path& folder) {
  std::error_code code;
  std::vector<Path> missing;  // the innermost first
  for (Path path = folder; !path.empty() && !std::filesystem::exists(path, code); path = path.parent_path()) {
    missing.push_back(path);
  }
  std::filesystem::create_directories(folder, code);
  if (code) io_error(folder, "create", code.value());
  // What is synced in a folder is lost with it, unless its own name is on disk, too.
  for (const Path& made : missing) sync_folder(made.has_parent_path() ? made.parent_path() : Path("."));
}

std::optional<int> PosixFiles::open(const Path& path, Open how) {
  const Path folder = path.has_parent_path() ? path.parent_path() : Path(".");
  const Path& place = how == Open::Unnamed ? folder : path;
  const int flags = O_WRONLY | (how == Open::Unnamed ? O_TMPFILE : how == Open::Append ? O_APPEND : O_CREAT | O_EXCL);
  const mode_t mode = how == Open::New ? 0666 : 0444;
  int file = ::open(place.c_str(), flags | O_CLOEXEC, mode);
  if (file < 0 && errno == ENOENT && how != Open::Append) {
    make_folders(folder);
    file = ::open(place.c_str(), flags | O_CLOEXEC, mode);
  }
  if (file >= 0) return file;
  // EISDIR is what a kernel without O_TMPFILE says.
  if (how == Open::Unnamed && (is_unsupported(errno) || errno == EISDIR)) return std::nullopt;
  io_error(path, "create", errno);
}

void PosixFiles::write(int file, Bytes bytes, const Path& path) {
  while (!bytes.empty()) {
    const ssize_t done = ::write(file, bytes.data(), bytes.size());
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) io_error(path, "write", errno);
    bytes = bytes.subspan(static_cast<std::size_t>(done));
  }
}

void PosixFiles::sync(int file, const Path& path) {
  if (::fsync(file) != 0) io_error(path, "save", errno);
}

void PosixFiles::make_read_only(int file, const Path& path) {
  struct stat about {};
  if (::fstat(file, &about) == 0 && ::fchmod(file, about.st_mode & 0444) == 0) return;
  if (!is_unsupported(errno)) io_error(path, "protect", errno);
}

void PosixFiles::close(int file, const Path& path) {
  if (::close(file) != 0) io_error(path, "close", errno);
}

Files::Made PosixFiles::link(int unnamed, const Path& to) {
  // By way of /proc, because linking a bare descriptor takes a privilege.
  const std::string from = "/proc/self/fd/" + std::to_string(unnamed);
  if (::linkat(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), AT_SYMLINK_FOLLOW) == 0) return Made::Yes;
  if (errno == EEXIST) return Made::Exists;
  // ENOENT and EXDEV: there is no /proc, or it shows another name space.
  if (is_unsupported(errno) || errno == ENOENT || errno == EXDEV) return Made::Unsupported;
  io_error(to, "create", errno);
}

Files::Made PosixFiles::link(const Path& from, const Path& to) {
  if (::link(from.c_str(), to.c_str()) == 0) return Made::Yes;
  if (is_unsupported(errno)) return Made::Unsupported;
  if (errno != EEXIST) io_error(to, "create", errno);
  // Over a network the link may have been made and its answer lost: then the file has two names.
  struct stat about {};
  return ::stat(from.c_str(), &about) == 0 && about.st_nlink == 2 ? Made::Yes : Made::Exists;
}

Files::Made PosixFiles::rename_new(const Path& from, const Path& to) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return Made::Yes;
  if (errno == EEXIST) return Made::Exists;
  if (is_unsupported(errno)) return Made::Unsupported;
  io_error(to, "create", errno);
}

void PosixFiles::rename(const Path& from, const Path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) io_error(to, "replace", errno);
}

void PosixFiles::sync_folder(const Path& folder) {
  const int handle = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (handle < 0 && errno == EACCES) return;  // of a folder above ours that others may not list
  if (handle < 0) io_error(folder, "save", errno);
  // Some file systems refuse to sync a folder; its entries are then as safe as they can be.
  const int code = ::fsync(handle) == 0 ? 0 : errno;
  ::close(handle);
  if (code != 0 && code != EINVAL && code != ENOTSUP) io_error(folder, "save", code);
}

}  // namespace winnow
