#include "experiments/run/round_watch.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "core/error.h"
#include "experiments/results/layout.h"
#include "experiments/results/progress_file.h"

namespace winnow {

RoundWatch::RoundWatch(Communicator& world, Files& files, std::filesystem::path out, double patience)
    : files_(files),
      out_(std::move(out)),
      attendance_(world.attendance()),
      rank_(world.rank()),
      size_(world.size()),
      patience_(patience) {}

void RoundWatch::begin() {
  ++round_;
  clock_ = {};
  looked_ = alive_ = 0;
  names_.reset();
  beats_.clear();
}

void RoundWatch::look() {
  const double now = clock_.look();
  if (now - looked_ < patience_ / 20) return;  // each looks, and there may be thousands
  looked_ = now;
  if (sees_life()) alive_ = now;
  const double waited = now - alive_;
  // Not at once: a message from everybody to everybody is much in a large job.
  if (said_ != round_ && waited > patience_ / 2) attendance_->say(said_ = round_);
  if (waited <= patience_) return;
  throw RanksLost(fmt::format("the end of a round of {} ranks: no trial in {} has shown a sign of life for {} s; {}",
                              size_, out_.string(), patience_, who_is_absent(*attendance_, rank_, size_, round_)),
                  RanksLost::Why::Late);
}

// A trial began or ended, or went on. Reads no more than it has to: a few at first, from a place of its own, and each time as
// many as there are before one that has gone on.
bool RoundWatch::sees_life() {
  constexpr std::size_t kFew = 16;
  try {
    std::vector<std::string> names = files_.list(Layout(out_).running());
    std::ranges::sort(names);
    const bool is_first = !names_;
    if (!is_first && names != *names_) {
      names_ = std::move(names);
      return true;
    }
    names_ = names;
    if (!names.empty()) std::rotate(names.begin(), names.begin() + rank_ % std::ssize(names), names.end());
    for (const std::string& name : names) {
      const auto trial = read_running(files_, out_, name.substr(0, name.rfind('.')), unix_now());
      if (!trial) continue;
      const Beat now{trial->updated, trial->progress.step};
      const auto [before, is_new] = beats_.emplace(name, now);
      if (!is_new && std::exchange(before->second, now) != now) return true;
      if (is_first && beats_.size() == kFew) break;
    }
    return false;
  } catch (const Error&) {  // nobody knows
    return true;
  }
}

}  // namespace winnow
