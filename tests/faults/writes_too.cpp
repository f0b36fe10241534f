// What counts as an operation under FAULT_ALL alone: other ways of opening for writing, of removing, and of changing rights and times.
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

#include "tests/faults/operation.h"

using namespace winnow::faults;

namespace {

FILE* operate_stream(const char* name, const char* path, const char* mode) {
  const bool writes = std::strpbrk(mode, "wa+") != nullptr;
  FILE* stream = nullptr;
  const int failed = operate_too("fopen", writes ? below(path) : "", [&] {
    stream = real<FILE*(const char*, const char*)>(name)(path, mode);
    return 0;
  });
  return failed == 0 ? stream : nullptr;
}

}  // namespace

extern "C" {

int openat(int folder, const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = mode_of(flags, rest);
  va_end(rest);
  const bool writes = (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC)) != 0;
  return operate_too("open", writes ? below(folder, path) : "",
                     [&] { return real<int(int, const char*, int, ...)>("openat")(folder, path, flags, mode); });
}
FILE* fopen(const char* path, const char* mode) { return operate_stream("fopen", path, mode); }
FILE* fopen64(const char* path, const char* mode) { return operate_stream("fopen64", path, mode); }
int unlinkat(int folder, const char* path, int flags) noexcept {
  return operate_too("remove", below(folder, path),
                     [&] { return real<int(int, const char*, int)>("unlinkat")(folder, path, flags); });
}
int rmdir(const char* path) noexcept {
  return operate_too("remove", below(path), [&] { return real<int(const char*)>("rmdir")(path); });
}
int truncate(const char* path, off_t size) noexcept {
  return operate_too("ftruncate", below(path), [&] { return real<int(const char*, off_t)>("truncate")(path, size); });
}
int symlink(const char* to, const char* path) noexcept {
  return operate_too("link", below(path), [&] { return real<int(const char*, const char*)>("symlink")(to, path); });
}
int chmod(const char* path, mode_t mode) noexcept {
  return operate_too("chmod", below(path), [&] { return real<int(const char*, mode_t)>("chmod")(path, mode); });
}
int fchmod(int file, mode_t mode) noexcept {
  return operate_too("chmod", below(path_of(file)), [&] { return real<int(int, mode_t)>("fchmod")(file, mode); });
}
int fchmodat(int folder, const char* path, mode_t mode, int flags) noexcept {
  return operate_too("chmod", below(folder, path),
                     [&] { return real<int(int, const char*, mode_t, int)>("fchmodat")(folder, path, mode, flags); });
}
int utimensat(int folder, const char* path, const timespec* times, int flags) noexcept {
  const std::string place = path == nullptr ? below(path_of(folder)) : below(folder, path);
  const auto call = real<int(int, const char*, const timespec*, int)>("utimensat");
  return operate_too("times", place, [&] { return call(folder, path, times, flags); });
}
int futimens(int file, const timespec* times) noexcept {
  const auto call = real<int(int, const timespec*)>("futimens");
  return operate_too("times", below(path_of(file)), [&] { return call(file, times); });
}

}  // extern "C"
