#include "experiments/results/shard_plan.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <unordered_set>

#include "core/error.h"
#include "experiments/data/digest.h"
#include "experiments/results/layout.h"
#include "experiments/results/plan_file.h"
#include "experiments/text.h"

namespace winnow {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kShardHeader = "# winnow-shards 1.";  // and its minor version, and the columns
constexpr std::string_view kShardOf = "# of ", kShardSum = "# sha256 ";

fs::path path_of_shards(const fs::path& out, const std::string& plan, const Deal& deal) {
  const fs::path folder = Layout(out).shards();
  return deal.name.empty() ? folder / fmt::format("{}.{}.tsv", plan, deal.shards)
                           : folder / fmt::format("deal-{}.tsv", deal.name);
}

std::string sum_of(std::string_view text) {
  Sha256 sum;
  sum.update(text);
  return sum.hex();
}

// The text up to the next `end` or its end; moves behind it.
std::string_view take_until(std::string_view& text, char end) {
  const std::size_t at = text.find(end);
  const std::string_view part = text.substr(0, at);
  text.remove_prefix(at == std::string_view::npos ? text.size() : at + 1);
  return part;
}

template <class T>
bool read_number(std::string_view text, T& value) {
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  return read.ec == std::errc() && read.ptr == text.data() + text.size();
}

[[noreturn]] void damaged(const fs::path& path) {
  fail(ErrorKind::Input, "{}: is damaged; remove it when no job of the sweep runs, and it is made anew", path.string());
}

// A deal as its file has it.
struct ShardFile {
  std::string text;
  int shards = 0;
  std::string plan;            // digest
  std::string_view rows = {};  // in text
};

std::unique_ptr<ShardFile> read_shard_file(Files& files, const fs::path& path) {
  auto file = std::make_unique<ShardFile>();
  file->text = read_text(files, path, kMostTable);
  const std::size_t end = file->text.rfind(kShardSum);
  if (!file->text.starts_with(kShardHeader) || end == std::string::npos) damaged(path);
  file->rows = std::string_view(file->text).substr(0, end);
  if (file->text.substr(end) != fmt::format("{}{}\n", kShardSum, sum_of(file->rows))) damaged(path);
  take_until(file->rows, '\n');
  std::string_view of = take_until(file->rows, '\n');
  if (!of.starts_with(kShardOf)) damaged(path);
  of.remove_prefix(kShardOf.size());
  if (!read_number(take_until(of, ' '), file->shards) || file->shards < 1) damaged(path);
  file->plan = of;
  return file;
}

// Of each row its shard, its trial and its seconds.
template <class Each>
void for_each_row(const ShardFile& file, const fs::path& path, Each&& each) {
  for (std::string_view rest = file.rows; !rest.empty();) {
    std::string_view line = take_until(rest, '\n');
    const std::string_view number = take_until(line, '\t'), name = take_until(line, '\t');
    int shard = -1;
    double seconds = 0;
    if (!read_number(number, shard) || !read_number(line, seconds) || shard < 0 || shard >= file.shards) damaged(path);
    each(shard, std::string(name), seconds);
  }
}

// The settings in which two trials of a plan differ, for people: "train.epochs was 10, is 20".
std::string differences(const std::string& before, const std::string& now) {
  constexpr std::size_t kShown = 3;
  const Settings one = settings_of_plan(before), other = settings_of_plan(now);
  Settings::Values keys = one.values();
  keys.merge(other.values());
  std::vector<std::string> found;
  for (const auto& [key, text] : keys) {
    const std::string *was = one.find(key), *is = other.find(key);
    if (was != nullptr && is != nullptr && *was == *is) continue;
    if (found.size() == kShown) {
      found.emplace_back("...");
      break;
    }
    found.push_back(fmt::format("{} was {}, is {}", key, was ? *was : "not set", is ? *is : "not set"));
  }
  return fmt::format("{}", fmt::join(found, ", "));
}

// In words, of the trials of a deal against those that there are now.
std::string what_changed(Files& files, const fs::path& out, const ShardFile& dealt, const TrialTable& trials,
                         const fs::path& path) {
  std::unordered_set<std::string> before;
  std::string first_gone;
  const auto now = trials.positions();
  std::size_t gone = 0;
  for_each_row(dealt, path, [&](int, const std::string& name, double) {
    before.insert(name);
    if (!now.contains(name) && gone++ == 0) first_gone = name;
  });
  std::size_t added = 0, first_added = 0;
  for (std::size_t at = 0; at < trials.size(); ++at) {
    if (before.contains(trials.name(at))) continue;
    if (added++ == 0) first_added = at;
  }
  std::string text = fmt::format("{} new, {} gone", counted(added, "trial"), gone);
  if (added == 0 || gone == 0) return text;
  // The runs of a deal leave its plan, with the settings of each trial.
  const auto old = read_plan_of(files, out, dealt.plan);
  if (!old) return text;
  const auto found = std::ranges::find(old->trials, first_gone, &PlannedTrial::name);
  if (found == old->trials.end()) return text;
  const std::string different = differences(found->canonical, planned(trials[first_added]).canonical);
  return different.empty() ? text : text + ": " + different;
}

void check_deal(Files& files, const fs::path& out, const ShardFile& file, const TrialTable& trials, const Deal& deal,
                const fs::path& path) {
  if (file.shards != deal.shards) {
    fail(ErrorKind::Settings, "{}: deal '{}' has {}, and not {}; a new number needs a new name (--deal)", path.string(),
         deal.name, counted(static_cast<std::size_t>(file.shards), "shard"), deal.shards);
  }
  if (file.plan != plan_digest(trials)) {
    fail(ErrorKind::Settings,
         "{}: the sweep has changed since deal '{}' was made ({}); submit it anew, which deals under a new name "
         "(--deal), or take the change back",
         path.string(), deal.name, what_changed(files, out, file, trials, path));
  }
}

}  // namespace

bool is_deal_name(std::string_view name) {
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
  return !name.empty() && name.size() <= 64 && name.find_first_not_of(kAllowed) == std::string_view::npos;
}

std::optional<ShardPlan> read_shards(Files& files, const fs::path& out, const TrialTable& trials, const Deal& deal) {
  const fs::path path = path_of_shards(out, deal.name.empty() ? plan_digest(trials) : "", deal);
  if (!files.exists(path)) return std::nullopt;
  const auto file = read_shard_file(files, path);
  check_deal(files, out, *file, trials, deal, path);
  const auto by_name = trials.positions();
  ShardPlan plan{std::vector<int>(trials.size(), -1), std::vector<double>(trials.size(), 0)};
  for_each_row(*file, path, [&](int shard, const std::string& name, double seconds) {
    const auto found = by_name.find(name);
    if (found == by_name.end()) damaged(path);
    plan.shard_of[found->second] = shard;
    plan.costs[found->second] = seconds;
  });
  if (std::ranges::find(plan.shard_of, -1) != plan.shard_of.end()) damaged(path);
  return plan;
}

bool write_shards(Files& files, const fs::path& out, const TrialTable& trials, const Deal& deal,
                  const ShardPlan& plan) {
  const std::string digest = plan_digest(trials);
  std::string text = fmt::format("{}1\tshard\tname\tseconds\n{}{} {}\n", kShardHeader, kShardOf, deal.shards, digest);
  constexpr std::size_t kLine = 48;
  text.reserve(text.size() + kLine * trials.size());
  for (std::size_t at = 0; at < trials.size(); ++at) {
    fmt::format_to(std::back_inserter(text), "{}\t{}\t{:.6g}\n", plan.shard_of[at], trials.name(at), plan.costs[at]);
  }
  text += fmt::format("{}{}\n", kShardSum, sum_of(text));
  return files.write_once(path_of_shards(out, digest, deal), std::as_bytes(std::span(text)));
}

void check_shards(Files& files, const fs::path& path) {
  const auto file = read_shard_file(files, path);
  std::vector<std::string> names;
  for_each_row(*file, path, [&](int, std::string name, double) { names.push_back(std::move(name)); });
  if (plan_digest(std::move(names)) != file->plan) damaged(path);
  const std::string own = path.filename().string();
  if (!own.starts_with("deal-") && own != path_of_shards({}, file->plan, {file->shards}).filename().string()) {
    fail(ErrorKind::Input, "{}: is that of another plan or number of shards", path.string());
  }
}

void forget_deal(Files& files, const fs::path& out, const std::string& name) {
  files.remove(path_of_shards(out, "", {.shards = 1, .name = name}));
}

void forget_shards(Files& files, const fs::path& out, const std::string& plan) {
  const fs::path folder = Layout(out).shards();
  for (const std::string& name : files.list(folder)) {
    bool is_of_it = name.starts_with(plan + ".");
    if (name.starts_with("deal-")) {
      try {
        is_of_it = read_shard_file(files, folder / name)->plan == plan;
      } catch (const Error& error) {
        if (error.kind() != ErrorKind::Input) throw;  // a damaged one is said by the run that wants it
      }
    }
    if (is_of_it) files.remove(folder / name);
  }
}

}  // namespace winnow
