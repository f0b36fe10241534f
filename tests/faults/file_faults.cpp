// A library to preload (LD_PRELOAD): counts what a program does to files below a folder, and spoils one of these operations.
// The environment says how:
//   FAULT_FOLDER  the folder, as an absolute path
//   FAULT_AT      the number of the operation, from 1, over the process and its forks
//   FAULT_HOW     before, half: SIGKILL before it, or half-way: of a write half of the bytes are there, anything else has happened;
//                 or an error such as ENOSPC: it fails with that
//   FAULT_LASTS   1: whatever adds to the disk fails from then on, as on a full one; a write first puts half of its bytes there
//   FAULT_LACKS   what its file system has not, of "unnamed link rename": unnamed files, hard links, renames that keep what is there
//   FAULT_STOP    WORD:NUMBER: SIGTERM before the so manyth write to a path with that word in it
//   FAULT_LOG     a file that gets a line for each operation: its number, "!" where it was made to fail, what, path below the folder
// Reading is no operation, nor is closing. Threads and forks of the program may use it at once.
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdarg>
#include <cstdlib>
#include <map>
#include <new>
#include <string>

namespace {

template <class Function>
Function* real(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

std::string setting(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

int error_of(const std::string& name) {
  static const std::map<std::string, int> known = {{"ENOSPC", ENOSPC},         {"EIO", EIO},
                                                   {"EDQUOT", EDQUOT},         {"EPERM", EPERM},
                                                   {"EOPNOTSUPP", EOPNOTSUPP}, {"EROFS", EROFS}};
  const auto found = known.find(name);
  return found == known.end() ? 0 : found->second;
}

struct Counts {
  std::atomic<long> operations{0}, stop_writes{0};
};

struct Plan {
  const std::string folder = setting("FAULT_FOLDER"), how = setting("FAULT_HOW"), lacks = setting("FAULT_LACKS");
  const std::string stop = setting("FAULT_STOP");
  const std::string stop_word = stop.substr(0, stop.find(':'));
  const long stop_at = stop.empty() ? 0 : std::atol(stop.c_str() + stop.find(':') + 1);
  const long at = std::atol(setting("FAULT_AT").c_str());
  const bool lasts = !setting("FAULT_LASTS").empty();
  const int error = error_of(how);
  const int log = setting("FAULT_LOG").empty()
                      ? -1
                      : real<int(const char*, int, ...)>("open")(setting("FAULT_LOG").c_str(),
                                                                 O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  // Forks count on.
  Counts* const counts =
      new (::mmap(nullptr, sizeof(Counts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) Counts;

  bool has_not(const char* way) const { return lacks.find(way) != std::string::npos; }
};

const Plan& plan() {
  static const Plan plan;
  return plan;
}

// Below the folder; "": it is elsewhere.
std::string below(std::string path) {
  if (plan().folder.empty()) return "";
  if (!path.starts_with('/')) {
    std::array<char, PATH_MAX> here{};
    if (::getcwd(here.data(), here.size()) != nullptr) path = std::string(here.data()) + "/" + path;
  }
  if (path == plan().folder) return ".";
  return path.starts_with(plan().folder + "/") ? path.substr(plan().folder.size() + 1) : "";
}

std::string path_of(int file) {
  std::array<char, PATH_MAX> path{};
  const std::string link = "/proc/self/fd/" + std::to_string(file);
  return ::readlink(link.c_str(), path.data(), path.size() - 1) > 0 ? path.data() : "";
}

[[noreturn]] void die() {
  ::kill(::getpid(), SIGKILL);
  for (;;) ::pause();
}

enum class Fate { Happens, HappensAndDies, Fails };

Fate fate_of(const char* what, const std::string& path, bool adds) {
  const Plan& p = plan();
  const long number = ++p.counts->operations;
  const bool spoilt = p.at > 0 && (number == p.at || (p.lasts && adds && number > p.at));
  if (p.log >= 0) {
    const std::string line = std::to_string(number) + (spoilt ? " ! " : " ") + what + " " + path + "\n";
    [[maybe_unused]] const ssize_t written =
        real<ssize_t(int, const void*, size_t)>("write")(p.log, line.data(), line.size());
  }
  if (!spoilt) return Fate::Happens;
  if (p.how == "before") die();
  if (p.how == "half") return Fate::HappensAndDies;
  errno = p.error;
  return Fate::Fails;
}

template <class Action>
int operate(const char* what, const std::string& path, bool adds, Action&& action) {
  if (path.empty()) return action();
  const Fate fate = fate_of(what, path, adds);
  if (fate == Fate::Fails) return -1;
  const int result = action();
  if (fate == Fate::HappensAndDies) die();
  return result;
}

template <class Write>
ssize_t operate_write(int file, size_t size, Write&& write) {
  const std::string path = below(path_of(file));
  if (path.empty()) return write(size);
  const Plan& p = plan();
  if (p.stop_at > 0 && path.find(p.stop_word) != std::string::npos && ++p.counts->stop_writes == p.stop_at) {
    ::kill(::getpid(), SIGTERM);
  }
  const Fate fate = fate_of("write", path, true);
  if (fate == Fate::HappensAndDies) {
    write(size / 2);
    die();
  }
  if (fate == Fate::Happens) return write(size);
  const int error = errno;
  if (p.lasts && p.counts->operations == p.at && size > 1) return write(size / 2);
  errno = error;
  return -1;
}

bool refused(const char* way, int error) {
  if (!plan().has_not(way)) return false;
  errno = error;
  return true;
}

template <class Open>
int operate_open(const std::string& path, int flags, Open&& open) {
  const bool unnamed = (flags & O_TMPFILE) == O_TMPFILE;
  const std::string place = unnamed || (flags & O_CREAT) != 0 ? below(path) : "";
  if (!place.empty() && unnamed && refused("unnamed", EOPNOTSUPP)) return -1;
  return operate("create", place, true, open);
}

mode_t mode_of(int flags, va_list rest) {
  return (flags & (O_CREAT | O_TMPFILE)) != 0 ? static_cast<mode_t>(va_arg(rest, int)) : 0;
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
