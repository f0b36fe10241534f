// What the library in file_faults.cpp makes of one operation on a file: it is counted, logged and perhaps spoilt, as the environment says.
// Threads and forks of a program may use it at once.
#pragma once

#include <dlfcn.h>
#include <fcntl.h>

#include <cstdarg>
#include <string>

namespace winnow::faults {

// The function that this library stands before.
template <class Function>
Function* real(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

bool all_is_watched();          // FAULT_ALL
bool has_not(const char* way);  // FAULT_LACKS
// SIGTERM, if this is the write that FAULT_STOP names.
void stop_before_write(const std::string& path);
// Of a write that has to fail, and others after it under FAULT_LASTS: is it the first of them?
bool fails_first();

// Below the folder; "": it is elsewhere.
std::string below(std::string path);
std::string below(int folder, const std::string& path);
std::string path_of(int file);

enum class Fate { Happens, HappensAndDies, Fails };

[[noreturn]] void die();
// Counts and logs it; `adds` to the disk. Where it fails errno is set.
Fate fate_of(const char* what, const std::string& path, bool adds);

template <class Action>
int operate(const char* what, const std::string& path, bool adds, Action&& action) {
  if (path.empty()) return action();
  const Fate fate = fate_of(what, path, adds);
  if (fate == Fate::Fails) return -1;
  const int result = action();
  if (fate == Fate::HappensAndDies) die();
  return result;
}

// What counts under FAULT_ALL alone.
template <class Action>
int operate_too(const char* what, const std::string& path, Action&& action) {
  return operate(what, all_is_watched() ? path : "", false, action);
}

inline mode_t mode_of(int flags, va_list rest) {
  return (flags & (O_CREAT | O_TMPFILE)) != 0 ? static_cast<mode_t>(va_arg(rest, int)) : 0;
}

}  // namespace winnow::faults
