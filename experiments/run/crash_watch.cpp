#include "experiments/run/crash_watch.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>
#include <utility>

namespace winnow {
namespace {

constexpr std::array kCrashSignals = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};

}  // namespace

// All that a crashed process needs, which may allocate nothing any more.
struct CrashWatch::Note {
  std::string outer, folder, path, mark;
  std::array<std::string, kCrashSignals.size()> texts;
  pid_t process = ::getpid();
};

namespace {

// Of the trials in hand, each at a place that its watch has taken. A note belongs to whoever exchanges it for something else, and a
// crashing thread gives none back.
struct WatchedPlace {
  std::atomic<bool> taken{false};
  std::atomic<const CrashWatch::Note*> note{nullptr};
};
static_assert(std::atomic<const CrashWatch::Note*>::is_always_lock_free);
constexpr std::size_t kMostAtOnce = 256;  // of those beyond no note is left
std::array<WatchedPlace, kMostAtOnce> watched_places;
std::atomic<int> leaving_notes{0};  // threads that may be writing some
std::array<struct sigaction, kCrashSignals.size()> before_crash;

void leave_file(const std::string& path, const std::string& text) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
  if (file < 0) return;  // another rank of the trial was the first
  const ssize_t written = ::write(file, text.data(), text.size());
  ::fsync(file);
  ::close(file);
  if (written != static_cast<ssize_t>(text.size())) ::unlink(path.c_str());  // the disk is full: better none than half
}

void leave(const CrashWatch::Note& note, const std::string& text) {
  ::mkdir(note.outer.c_str(), 0777);
  ::mkdir(note.folder.c_str(), 0777);
  leave_file(note.path, text);
  if (!note.mark.empty()) leave_file(note.mark, text);
}

extern "C" void note_crash_of_process(int signal) {
  const int error = errno;
  std::size_t which = 0;
  while (kCrashSignals[which] != signal) ++which;
  ++leaving_notes;
  for (WatchedPlace& place : watched_places) {
    const CrashWatch::Note* note = place.note.exchange(nullptr);
    if (note != nullptr && note->process == ::getpid()) leave(*note, note->texts[which]);
  }
  --leaving_notes;
  // Where two threads crash at once, the end of the one must not cut short what the other writes: a disk may take its time, but
  // not for ever.
  constexpr timespec kPause = {0, 10'000'000};
  constexpr int kMostPauses = 1000;
  for (int i = 0; i < kMostPauses && leaving_notes > 0; ++i) ::nanosleep(&kPause, nullptr);
  errno = error;
  ::sigaction(signal, &before_crash[which], nullptr);
  ::raise(signal);  // when this handler returns
}

}  // namespace

void catch_crashes() {
  for (std::size_t which = 0; which < kCrashSignals.size(); ++which) {
    struct sigaction action = {};
    ::sigaction(kCrashSignals[which], nullptr, &action);
    if (action.sa_handler == note_crash_of_process) continue;
    before_crash[which] = action;
    action = {};
    action.sa_handler = note_crash_of_process;
    action.sa_flags = SA_ONSTACK;
    ::sigaction(kCrashSignals[which], &action, nullptr);
  }
}

CrashWatch::CrashWatch(std::filesystem::path note, std::int64_t step, std::filesystem::path mark, CrashOf of)
    : path_(std::move(note)), mark_(std::move(mark)), of_(of), place_(0) {
  while (place_ < watched_places.size() && watched_places[place_].taken.exchange(true)) ++place_;
  saved(step);
}

CrashWatch::~CrashWatch() {
  put(nullptr);
  if (place_ < watched_places.size()) watched_places[place_].taken = false;
}

void CrashWatch::put(std::unique_ptr<const Note> note) {
  if (place_ < watched_places.size()) note.reset(watched_places[place_].note.exchange(note.release()));
}

void CrashWatch::saved(std::int64_t step) {
  auto note = std::make_unique<Note>();
  note->path = path_.string();
  note->mark = mark_.string();
  note->folder = path_.parent_path().string();
  note->outer = path_.parent_path().parent_path().string();
  const char* const beside = of_ == CrashOf::Several ? ", which may have had others in hand," : "";
  for (std::size_t which = 0; which < kCrashSignals.size(); ++which) {
    const int signal = kCrashSignals[which];
    note->texts[which] = crash_text(
        step, fmt::format("its process{} ended by signal {} ({})", beside, signal, ::strsignal(signal)), of_);
  }
  put(std::move(note));
}

}  // namespace winnow
