// The records of many results.
#include <algorithm>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "core/error.h"
#include "experiments/results/isolated.h"
#include "experiments/results/trial_record.h"

namespace winnow {
namespace {

// Those without a record need a child process for their HDF5 content; in parts, since they are taken in order.
constexpr std::size_t kFilesAtOnce = 512;

// Some of the files, whose records all cores read: they need no HDF5 library.
class RecordsAhead {
 public:
  RecordsAhead(Files& files, std::span<const std::filesystem::path> paths) : paths_(paths), found_(paths.size()) {
    constexpr std::size_t kMostThreads = 8, kForAThread = 64;
    const std::size_t threads = std::clamp<std::size_t>(
        paths.size() / kForAThread, 1, std::clamp<std::size_t>(std::thread::hardware_concurrency(), 1, kMostThreads));
    for (std::size_t thread = 0; thread < threads; ++thread) {
      readers_.push_back(std::async(std::launch::async, [this, &files, thread, threads] {
        for (std::size_t i = thread; i < paths_.size(); i += threads) read(files, i);
      }));
    }
  }

  // No reader is at work after this. The files without a record have been read, too.
  void finish(Files& files) {
    for (auto& reader : readers_) reader.get();
    std::vector<std::size_t> rest;
    for (std::size_t i = 0; i < paths_.size(); ++i) {
      if (!found_[i] && !problems_.contains(i)) rest.push_back(i);
    }
    run_isolated(
        rest.size(),
        {.work = [&](std::size_t i) { return record_of_content(files.read(paths_[rest[i]]), paths_[rest[i]]); },
         .label = [&](std::size_t i) { return paths_[rest[i]].string(); },
         .succeeded =
             [&](std::size_t i, std::vector<std::byte> bytes) {
               const std::span<const std::byte> record = bytes;
               try {
                 found_[rest[i]] = view_record(std::move(bytes), record, paths_[rest[i]].string());
               } catch (const Error& error) {
                 problems_.emplace(rest[i], error);
               }
             },
         .failed = [&](std::size_t i, const Error& error) { problems_.emplace(rest[i], error); }});
  }
  std::size_t size() const { return paths_.size(); }
  const std::optional<TrialRecord>& record(std::size_t i) const { return found_[i]; }
  const Error& problem(std::size_t i) const { return problems_.at(i); }

 private:
  void read(Files& files, std::size_t i) {
    try {
      found_[i] = read_record(files, paths_[i]);
    } catch (const Error& error) {
      const std::lock_guard lock(writing_);
      problems_.emplace(i, error);
    }
  }

  std::span<const std::filesystem::path> paths_;
  std::vector<std::optional<TrialRecord>> found_;
  std::mutex writing_;
  std::map<std::size_t, Error> problems_;
  std::vector<std::future<void>> readers_;  // last: they end before what they write to
};

}  // namespace

void read_records(Files& files, std::span<const std::filesystem::path> paths,
                  const std::function<void(std::size_t, const TrialRecord&)>& take,
                  const std::function<void(std::size_t, const Error&)>& failed) {
  const auto begun = [&](std::size_t first) {
    return std::make_unique<RecordsAhead>(files, paths.subspan(first, std::min(kFilesAtOnce, paths.size() - first)));
  };
  std::unique_ptr<RecordsAhead> next = begun(0);
  for (std::size_t first = 0; first < paths.size(); first += kFilesAtOnce) {
    const std::unique_ptr<RecordsAhead> part = std::move(next);
    part->finish(files);
    // While these are taken the next ones are read. No process is started meanwhile.
    if (first + part->size() < paths.size()) next = begun(first + part->size());
    for (std::size_t i = 0; i < part->size(); ++i) {
      if (const auto& record = part->record(i)) {
        take(first + i, *record);
      } else {
        failed(first + i, part->problem(i));
      }
    }
  }
}

}  // namespace winnow
