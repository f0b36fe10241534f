#include "tests/faults/operation.h"

#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <map>
#include <new>

namespace winnow::faults {
namespace {

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
  const bool lasts = !setting("FAULT_LASTS").empty(), all = !setting("FAULT_ALL").empty();
  const int error = error_of(how);
  const int log = setting("FAULT_LOG").empty()
                      ? -1
                      : real<int(const char*, int, ...)>("open")(setting("FAULT_LOG").c_str(),
                                                                 O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  // Forks count on.
  Counts* const counts =
      new (::mmap(nullptr, sizeof(Counts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) Counts;
};

const Plan& plan() {
  static const Plan plan;
  return plan;
}

}  // namespace

bool all_is_watched() { return plan().all; }
bool has_not(const char* way) { return plan().lacks.find(way) != std::string::npos; }

void stop_before_write(const std::string& path) {
  const Plan& p = plan();
  if (p.stop_at > 0 && path.find(p.stop_word) != std::string::npos && ++p.counts->stop_writes == p.stop_at) {
    ::kill(::getpid(), SIGTERM);
  }
}

bool fails_first() { return plan().lasts && plan().counts->operations == plan().at; }

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
  const bool found = ::readlink(link.c_str(), path.data(), path.size() - 1) > 0;
  return found && path[0] == '/' ? path.data() : "";  // pipes and the like are called otherwise
}

std::string below(int folder, const std::string& path) {
  return below(folder == AT_FDCWD || path.starts_with('/') ? path : path_of(folder) + "/" + path);
}

void die() {
  ::kill(::getpid(), SIGKILL);
  for (;;) ::pause();
}

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

}  // namespace winnow::faults
