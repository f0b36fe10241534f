// A library to preload (LD_PRELOAD): counts what a program does to files below a folder, and spoils one of these operations.
// The environment says how:
//   FAULT_FOLDER  the folder, as an absolute path
//   FAULT_AT      the number of the operation, from 1, over the process and its forks
//   FAULT_HOW     before, half: SIGKILL before it, or half-way: of a write half of the bytes are there, anything else has happened;
//                 or an error such as ENOSPC: it fails with that
//   FAULT_LASTS   1: whatever adds to the disk fails from then on, as on a full one; a write first puts half of its bytes there
//   FAULT_LACKS   what its file system has not, of "unnamed link rename": unnamed files, hard links, renames that keep what is there
//   FAULT_STOP    WORD:NUMBER: SIGTERM before the so manyth write to a path with that word in it
//   FAULT_ALL     1: also an operation is what only one that looks must not do: opening for writing what is there, rights, times
//   FAULT_LOG     a file that gets a line for each operation: its number, "!" where it was made to fail, what, path below the folder
// Reading is no operation, nor is closing. Threads and forks of the program may use it at once.
#include "tests/faults/operation.h"

#include <stdio.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>

using namespace winnow::faults;

namespace {

template <class Write>
ssize_t operate_write(int file, size_t size, Write&& write) {
  const std::string path = below(path_of(file));
  if (path.empty()) return write(size);
  stop_before_write(path);
  const Fate fate = fate_of("write", path, true);
  if (fate == Fate::HappensAndDies) {
    write(size / 2);
    die();
  }
  if (fate == Fate::Happens) return write(size);
  const int error = errno;
  if (fails_first() && size > 1) return write(size / 2);
  errno = error;
  return -1;
}

bool refused(const char* way, int error) {
  if (!has_not(way)) return false;
  errno = error;
  return true;
}

template <class Open>
int operate_open(const std::string& path, int flags, Open&& open) {
  const bool unnamed = (flags & O_TMPFILE) == O_TMPFILE, makes = unnamed || (flags & O_CREAT) != 0;
  const bool writes = all_is_watched() && ((flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC) != 0);
  const std::string place = makes || writes ? below(path) : "";
  if (!place.empty() && unnamed && refused("unnamed", EOPNOTSUPP)) return -1;
  return operate(makes ? "create" : "open", place, true, open);
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = mode_of(flags, rest);
  va_end(rest);
  return operate_open(path, flags, [&] { return real<int(const char*, int, ...)>("open")(path, flags, mode); });
}
int open64(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = mode_of(flags, rest);
  va_end(rest);
  return operate_open(path, flags, [&] { return real<int(const char*, int, ...)>("open64")(path, flags, mode); });
}

ssize_t write(int file, const void* bytes, size_t size) {
  return operate_write(
      file, size, [&](size_t part) { return real<ssize_t(int, const void*, size_t)>("write")(file, bytes, part); });
}
ssize_t pwrite64(int file, const void* bytes, size_t size, off64_t at) {
  const auto call = real<ssize_t(int, const void*, size_t, off64_t)>("pwrite64");
  return operate_write(file, size, [&](size_t part) { return call(file, bytes, part, at); });
}
ssize_t pwrite(int file, const void* bytes, size_t size, off_t at) { return pwrite64(file, bytes, size, at); }

int fsync(int file) {
  return operate("fsync", below(path_of(file)), false, [&] { return real<int(int)>("fsync")(file); });
}
int fdatasync(int file) {
  return operate("fdatasync", below(path_of(file)), false, [&] { return real<int(int)>("fdatasync")(file); });
}
int ftruncate(int file, off_t size) noexcept {
  return operate("ftruncate", below(path_of(file)), true,
                 [&] { return real<int(int, off_t)>("ftruncate")(file, size); });
}

int link(const char* from, const char* to) noexcept {
  const std::string place = below(to);
  if (!place.empty() && refused("link", EPERM)) return -1;
  return operate("link", place, true, [&] { return real<int(const char*, const char*)>("link")(from, to); });
}
int linkat(int from_folder, const char* from, int to_folder, const char* to, int flags) noexcept {
  const std::string place = below(to);
  if (!place.empty() && refused("link", EPERM)) return -1;
  const auto call = real<int(int, const char*, int, const char*, int)>("linkat");
  return operate("link", place, true, [&] { return call(from_folder, from, to_folder, to, flags); });
}
int rename(const char* from, const char* to) noexcept {
  return operate("rename", below(to), true, [&] { return real<int(const char*, const char*)>("rename")(from, to); });
}
int renameat2(int from_folder, const char* from, int to_folder, const char* to, unsigned flags) noexcept {
  const std::string place = below(to);
  if (!place.empty() && (flags & RENAME_NOREPLACE) != 0 && refused("rename", EINVAL)) return -1;
  const auto call = real<int(int, const char*, int, const char*, unsigned)>("renameat2");
  return operate("rename_new", place, true, [&] { return call(from_folder, from, to_folder, to, flags); });
}
int remove(const char* path) noexcept {
  return operate("remove", below(path), false, [&] { return real<int(const char*)>("remove")(path); });
}
int unlink(const char* path) noexcept {
  return operate("remove", below(path), false, [&] { return real<int(const char*)>("unlink")(path); });
}
int mkdir(const char* path, mode_t mode) noexcept {
  return operate("mkdir", below(path), true, [&] { return real<int(const char*, mode_t)>("mkdir")(path, mode); });
}

}  // extern "C"
