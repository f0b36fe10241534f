#include "experiments/sweep/sample_reader.h"

#include <cmath>
#include <map>

#include "core/settings.h"
#include "experiments/sweep/entries.h"

namespace winnow {
namespace {

const std::vector<std::string> kKinds = {"sobol", "random", "lhs", "halton"};  // as in SampleKind
const std::vector<std::string> kDistributions = {"uniform", "loguniform", "int", "choice"};

const Schema& sample_schema() {
  static const Schema schema = {
      {.key = "kind", .kind = Setting::Kind::Choice, .fallback = "sobol", .choices = kKinds},
      {.key = "n", .kind = Setting::Kind::Int, .fallback = {}, .range = Range{1, 1e6}},
      {.key = "seed", .kind = Setting::Kind::Int, .fallback = "0", .range = Range{0, 9e15}},
      {.key = "keep", .kind = Setting::Kind::IntList, .fallback = "[]", .range = Range{1, 1e6}},
  };
  return schema;
}

class SampleReader {
 public:
  explicit SampleReader(Diagnostics& problems) : problems_(problems) {}

  std::optional<SampleRequest> read(const YamlNode& node) {
    if (!node.is_map()) {
      wrong(node.place, "'sample' is a map with kind, n, seed and space");
      return std::nullopt;
    }
    read_options(node);
    if (const Member* space = node.find("space")) {
      if (space->value->is_map() && !space->value->members.empty()) {
        read_space(*space->value, "");
      } else {
        wrong(space->value->place, "'space' is a map of 'key: {uniform: [low, high]}'");
      }
    } else {
      wrong(node.place, "a sample needs a 'space'");
    }
    const std::size_t most = most_dimensions(request_.kind);
    if (request_.space.size() > most) {
      wrong(node.place,
            fmt::format("a {} sample has at most {} keys", kKinds[static_cast<std::size_t>(request_.kind)], most));
    }
    if (failed_) return std::nullopt;
    return std::move(request_);
  }

 private:
  void wrong(const Place& place, std::string text) {
    problems_.error(place, std::move(text));
    failed_ = true;
  }

  void read_options(const YamlNode& node) {
    Settings given;
    std::map<std::string, Place> key_places, value_places;
    for (const Member& member : node.members) {
      if (member.key == "space") continue;
      const auto text = value_text(*member.value, member.key, problems_);
      if (!text) {
        failed_ = true;
        continue;
      }
      given.set(member.key, *text);
      key_places[member.key] = member.place;
      value_places[member.key] = member.value->place;
    }
    std::vector<SettingProblem> found;
    const Settings options = resolve(sample_schema(), given, found);
    for (const SettingProblem& problem : found) {
      const bool unknown = problem.text.starts_with("unknown");
      const auto& places = unknown ? key_places : value_places;
      const auto place = places.find(problem.key);
      wrong(place == places.end() ? node.place : place->second,
            fmt::format("'sample.{}' {}", problem.key, problem.text));
    }
    if (failed_) return;
    for (std::size_t i = 0; i < kKinds.size(); ++i) {
      if (options.text("kind") == kKinds[i]) request_.kind = static_cast<SampleKind>(i);
    }
    request_.n = static_cast<std::size_t>(options.integer("n"));
    request_.seed = static_cast<std::uint64_t>(options.integer("seed"));
    for (const double count : options.reals("keep")) request_.keep.push_back(static_cast<std::size_t>(count));
    if (!request_.keep.empty()) check_kept(value_places.at("keep"));
  }

  void check_kept(const Place& place) {
    if (request_.kind != SampleKind::Lhs) {
      return wrong(place, "'sample.keep' is for lhs; the first points of the other kinds stay anyway");
    }
    std::vector<std::size_t> counts = request_.keep;
    counts.push_back(request_.n);
    for (std::size_t i = 1; i < counts.size(); ++i) {
      if (counts[i] > counts[i - 1] && counts[i] % counts[i - 1] == 0) continue;
      return wrong(
          place,
          fmt::format("'sample.keep' has numbers of points that n had before: each, and then n, is a multiple of "
                      "the one before; {} is none of {}",
                      counts[i], counts[i - 1]));
    }
  }

  // A map whose only key is a distribution is a leaf; any other map is a nested part of a dotted key.
  void read_space(const YamlNode& node, const std::string& prefix) {
    for (const Member& member : node.members) {
      const std::string key = prefix.empty() ? member.key : prefix + "." + member.key;
      const YamlNode& value = *member.value;
      const bool leaf = value.is_map() && value.members.size() == 1 && !value.members.front().value->is_map();
      if (leaf) {
        read_distribution(key, member.place, value.members.front());
      } else if (value.is_map() && !value.members.empty()) {
        read_space(value, key);
      } else {
        wrong(value.place, fmt::format("'{}' needs a distribution: uniform, loguniform, int or choice", key));
      }
    }
  }

  void read_distribution(const std::string& key, const Place& place, const Member& member) {
    SampleDistribution distribution;
    distribution.key = key;
    bool known = false;
    for (std::size_t i = 0; i < kDistributions.size(); ++i) {
      if (member.key != kDistributions[i]) continue;
      distribution.kind = static_cast<SampleDistribution::Kind>(i);
      known = true;
    }
    if (!known) {
      problems_.error(member.place,
                      fmt::format("unknown distribution '{}'; known: {}", member.key, fmt::join(kDistributions, ", ")),
                      did_you_mean(member.key, kDistributions));
      failed_ = true;
      return;
    }
    for (const SampleDistribution& other : request_.space) {
      if (other.key == key) return wrong(place, fmt::format("key '{}' is given twice", key));
    }
    const YamlNode& value = *member.value;
    if (!value.is_list() || value.items.empty()) {
      return wrong(value.place, fmt::format("'{}' needs a list", member.key));
    }
    if (distribution.kind == SampleDistribution::Kind::Choice) {
      for (const NodePtr& item : value.items) {
        auto text = value_text(*item, key, problems_);
        if (!text) failed_ = true;
        if (text) distribution.choices.push_back(std::move(*text));
      }
    } else if (!read_bounds(distribution, member)) {
      return;
    }
    request_.space.push_back(std::move(distribution));
    request_.places.push_back(place);
  }

  bool read_bounds(SampleDistribution& distribution, const Member& member) {
    const YamlNode& value = *member.value;
    const bool whole = distribution.kind == SampleDistribution::Kind::Int;
    const Setting setting{
        .key = "bounds", .kind = whole ? Setting::Kind::IntList : Setting::Kind::RealList, .fallback = {}};
    const auto text = value_text(value, member.key, problems_);
    std::vector<SettingProblem> found;
    Settings given;
    given.set("bounds", text.value_or(""));
    const Settings bounds = resolve({setting}, given, found);
    if (!text || !found.empty()) {
      wrong(value.place, fmt::format("'{}' needs [low, high], two {}", member.key, whole ? "integers" : "numbers"));
      return false;
    }
    const auto numbers = bounds.reals("bounds");
    if (numbers.size() != 2 || !(numbers[0] < numbers[1])) {
      wrong(value.place, fmt::format("'{}' needs [low, high] with low < high", member.key));
      return false;
    }
    if (distribution.kind == SampleDistribution::Kind::LogUniform && numbers[0] <= 0) {
      wrong(value.place, "'loguniform' needs low > 0");
      return false;
    }
    distribution.low = numbers[0];
    distribution.high = numbers[1];
    return true;
  }

  Diagnostics& problems_;
  SampleRequest request_;
  bool failed_ = false;
};

}  // namespace

std::optional<SampleRequest> read_sample(const YamlNode& node, Diagnostics& problems) {
  return SampleReader(problems).read(node);
}

}  // namespace winnow
