#include "experiments/run/known_results.h"

#include <algorithm>

#include "core/error.h"
#include "experiments/results/layout.h"
#include "experiments/results/result_index.h"
#include "experiments/results/status.h"
#include "experiments/results/trial_file.h"

namespace winnow {
namespace {

struct KnownFile {
  TrialNote note;
  double bytes = 0;
};

KnownFile known_file(Files& files, const std::filesystem::path& path, const std::string& name,
                     const ResultIndex& index) {
  const auto stamp = files.stamp(path);
  const TrialNote* indexed = stamp ? index.find(name, *stamp) : nullptr;
  KnownFile file{indexed != nullptr ? *indexed : read_note(files, path),
                 stamp ? static_cast<double>(stamp->size) : 0.0};
  check_owner(path, file.note.name);
  return file;
}

}  // namespace

KnownResults known_results(Files& files, const std::filesystem::path& out, const TrialTable& trials,
                           const std::function<Expected(std::size_t)>& estimated) {
  KnownResults known;
  known.of.resize(trials.size(), KnownResults::State::Nothing);
  const std::vector<std::string> published = published_trials(files, out);
  if (published.empty()) return known;
  const Layout layout(out);
  const ResultIndex index(files, out);
  for (std::size_t at = 0; at < trials.size(); ++at) {
    const std::string name = trials.name(at);
    if (!std::ranges::binary_search(published, name)) continue;
    try {
      const KnownFile file = known_file(files, layout.trial(name), name, index);
      known.of[at] = KnownResults::State::Done;
      known.bytes += file.bytes;
      if (file.note.outcome != Outcome::Done) continue;  // it ended early, and says nothing of the others
      const Expected expected = estimated(at);
      known.times.add(trials, at, expected.seconds, file.note.seconds);
      known.sizes.add(trials, at, expected.bytes, file.bytes);
    } catch (const Error& error) {
      if (!is_unreadable(error)) throw;
      known.of[at] = KnownResults::State::Unreadable;
      known.problems.emplace_back(error.what());
    }
  }
  return known;
}

}  // namespace winnow
