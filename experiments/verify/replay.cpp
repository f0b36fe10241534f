#include "experiments/verify/replay.h"

#include <algorithm>
#include <set>

#include "core/error.h"
#include "distributed/agree.h"
#include "experiments/data/raw_file.h"
#include "experiments/need_role.h"
#include "experiments/results/failure_file.h"
#include "experiments/results/layout.h"
#include "experiments/results/plan_file.h"
#include "experiments/results/status.h"
#include "experiments/results/trial_file.h"
#include "experiments/run/provenance.h"
#include "experiments/run/run_sweep.h"
#include "experiments/sweep/need_links.h"

namespace winnow {
namespace {

namespace fs = std::filesystem;
using TrialFacts = std::map<std::string, std::string>;

std::string fact(const TrialFacts& facts, const std::string& name) {
  const auto found = facts.find(name);
  return found == facts.end() ? "" : found->second;
}

int number_in(const TrialFacts& facts, const std::string& name, int otherwise) {
  const std::string text = fact(facts, name);
  const bool digits =
      !text.empty() && text.size() < 7 && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
  return digits ? std::stoi(text) : otherwise;
}

std::string trial_called(Files& files, const fs::path& out, const std::string& start) {
  check_output_directory(files, out);
  std::vector<std::string> found;
  for (std::string& name : published_trials(files, out)) {
    if (name == start) return name;
    if (name.starts_with(start)) found.push_back(std::move(name));
  }
  if (found.size() == 1) return found.front();
  if (found.empty()) fail(ErrorKind::Input, "{}: has no result whose name begins with '{}'", out.string(), start);
  fail(ErrorKind::Usage, "{} results in {} are called {}...: {}, {}{}", found.size(), out.string(), start, found[0],
       found[1], found.size() > 2 ? ", ..." : "");
}

// "4 ranks" of each attempt: "TIME HOST process N, 4 ranks, f32, from step 0; ...".
std::set<std::string> ranks_of_attempts(const std::string& attempts) {
  std::set<std::string> ranks;
  for (std::size_t at = 0; (at = attempts.find(" process ", at)) != std::string::npos; ++at) {
    const std::size_t comma = attempts.find(", ", at);
    if (comma == std::string::npos) break;
    ranks.insert(attempts.substr(comma + 2, attempts.find(',', comma + 2) - comma - 2));
  }
  return ranks;
}

// Two builds compute the same bits if these are the same.
constexpr const char* kOfTheBuild[] = {"winnow.version", "git.revision", "compiler", "build.type", "onednn.version"};

std::vector<std::string> obstacles_of(const TrialFacts& facts) {
  std::vector<std::string> obstacles;
  const TrialFacts here = process_provenance();
  if (const std::string device = fact(facts, "device"); !device.empty() && device != "cpu") {
    obstacles.push_back(
        fmt::format("it was trained on a GPU ({}), and a CPU sums in another order", fact(facts, "gpu.name")));
  }
  for (const char* name : kOfTheBuild) {
    const std::string then = fact(facts, name), now = fact(here, name);
    if (then != now)
      obstacles.push_back(fmt::format("{} was {}, and is {} here", name, then.empty() ? "not recorded" : then, now));
  }
  if (fact(facts, "processor") != fact(here, "processor")) {
    obstacles.push_back(
        fmt::format("it was trained on the processor {}, and this one is {}: other instructions give other bits",
                    fact(facts, "processor"), fact(here, "processor")));
  }
  if (ranks_of_attempts(fact(facts, "attempts")).size() > 1) {
    obstacles.emplace_back("its attempts had different numbers of ranks");
  }
  return obstacles;
}

std::string how_trained(const TrialFacts& facts) {
  return fmt::format("by {} rank(s) of {} thread(s), {}, on {} ({}), winnow {} git {}", number_in(facts, "ranks", 1),
                     number_in(facts, "threads", 1), fact(facts, "precision"), fact(facts, "host"),
                     fact(facts, "processor"), fact(facts, "winnow.version"), fact(facts, "git.revision"));
}

// As the sweep file gave it, from what the result says of itself.
TrialSpec spec_of(const TrialResult& result) {
  TrialSpec spec = result.spec;
  spec.ranks = number_in(result.provenance, "ranks", 1);
  spec.settings.set("train.device", "cpu");
  for (const NeedReference& reference : need_references(catalog(), spec.settings)) {
    spec.needs.push_back({reference.method, reference.role, reference.key, fact(result.lineage, reference.role)});
  }
  return spec;
}

// What it was trained from must be what it was.
void check_start(Files& files, const TrialResult& result) {
  const std::string then = fact(result.lineage, "start.digest");
  const std::string path = result.spec.settings.has("init.from") ? result.spec.settings.text("init.from") : "";
  if (path.empty() || then.empty()) return;
  if (read_header(files, expand_path(path)).content_digest == then) return;
  fail(ErrorKind::Input, "{}: is another file than the one that {} was started from", path, result.spec.name());
}

void bring_needs(Files& files, const fs::path& out, const fs::path& scratch, const TrialResult& result,
                 const TrialSpec& spec) {
  for (const TrialNeed& need : spec.needs) {
    if (!is_trial_name(need.trial)) fail(ErrorKind::Input, "'{}' is the name of no trial", need.trial);
    const fs::path path = Layout(out).trial(need.trial);
    if (read_header(files, path).content_digest != fact(result.lineage, need.role + ".digest")) {
      fail(ErrorKind::Input, "{}: is another result than the {} that {} was trained with", path.string(),
           word_of_role(need.role), spec.name());
    }
    files.write_once(Layout(scratch).trial(need.trial), files.read(path));
  }
}

// Of rank 0, seen by all ranks, gone when they are done.
class ScratchFolder {
 public:
  ScratchFolder(Communicator& world, const fs::path& where) : world_(world) {
    std::string name = (where / "winnow-replay-XXXXXX").string();
    agree(world, [&] {
      if (world.rank() == 0 && ::mkdtemp(name.data()) == nullptr) {
        fail(ErrorKind::Io, "{}: cannot make a folder there; --scratch names another place", where.string());
      }
    });
    share_text(world, name, 0);
    path_ = name;
  }
  ~ScratchFolder() {
    std::error_code ignored;
    if (world_.rank() == 0) fs::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const fs::path& path() const { return path_; }

 private:
  Communicator& world_;
  fs::path path_;
};

}  // namespace

Replay replay_trial(Communicator& world, Files& files, const ReplayOrder& order) {
  Replay replay;
  ReadTrial original;
  TrialSpec spec;
  agree(world, [&] {
    replay.trial = trial_called(files, order.out, order.trial);
    original = read_whole_trial(files, Layout(order.out).trial(replay.trial));
    check_owner(Layout(order.out).trial(replay.trial), original.header.name);
    spec = spec_of(original.result);
    if (spec.ranks != world.size()) {
      fail(ErrorKind::Site, "{} was trained by {} ranks: start this with mpirun -n {}", replay.trial, spec.ranks,
           spec.ranks);
    }
    check_start(files, original.result);
  });
  const TrialFacts& facts = original.result.provenance;
  replay.how = how_trained(facts);
  replay.obstacles = obstacles_of(facts);
  if (!same_on_all(world, replay.obstacles.size())) replay.obstacles.emplace_back("the ranks run on other processors");
  if (!replay.obstacles.empty() && !order.tolerance) return replay;

  const ScratchFolder scratch(world, order.scratch);
  agree(world, [&] {
    if (world.rank() == 0) bring_needs(files, order.out, scratch.path(), original.result, spec);
  });
  Sweep sweep;
  sweep.name = "replay";
  sweep.trials = TrialTable(std::span(&spec, 1));
  sweep.text = fact(facts, "sweep.text");
  RunOptions options;
  options.out = scratch.path();
  options.threads = number_in(facts, "threads", 1);
  options.workers = world.size() == 1 ? 1 : 0;
  options.quiet = true;
  options.command_line = order.command_line;
  const int code = run_sweep(world, files, sweep, options);
  if (world.rank() != 0) return replay;
  if (code == static_cast<int>(ErrorKind::Stopped)) {
    replay.code = code;
    return replay;
  }
  const fs::path first = Layout(order.out).trial(replay.trial), second = Layout(scratch.path()).trial(replay.trial);
  if (!files.exists(second)) {
    replay.failure = failure_reason(files, scratch.path(), replay.trial).value_or("no result came out");
    return replay;
  }
  const ReadTrial again = read_whole_trial(files, second);
  replay.same = again.header.content_digest == original.header.content_digest;
  const auto seconds = [](const ReadTrial& trial) {
    const auto found = trial.result.summary.find("seconds.total");
    return found == trial.result.summary.end() ? 0.0 : found->second;
  };
  replay.seconds = fmt::format("{:.1f} s, then {:.1f} s", seconds(original), seconds(again));
  if (replay.same) return replay;
  replay.differences = trial_differences(files, first, second, order.tolerance.value_or(0));
  for (const char* name : {"data.digest", "threads", "precision"}) {
    const std::string before = fact(facts, name), now = fact(again.result.provenance, name);
    if (before != now) replay.obstacles.push_back(fmt::format("{} was {}, and was {} now", name, before, now));
  }
  const bool ended_alike =
      again.result.outcome == original.result.outcome && again.result.reason == original.result.reason;
  if (!ended_alike) {
    replay.differences.push_back({.object = "/", .what = "outcome or reason differ"});
  } else if (replay.differences.empty()) {  // values are the same then, in other forms
    const bool allowed = order.tolerance.value_or(0) > 0;
    replay.differences.push_back({.object = "/", .what = "attributes or forms differ", .allowed = allowed});
  }
  return replay;
}

}  // namespace winnow
