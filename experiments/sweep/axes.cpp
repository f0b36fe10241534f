#include "experiments/sweep/axes.h"

#include <algorithm>
#include <map>

#include "core/settings.h"
#include "experiments/sweep/sample_reader.h"

namespace winnow {
namespace {

constexpr std::size_t kMostPoints = 1'000'000;

// The alternatives of one axis and every key that any of them sets.
struct Axis {
  std::vector<Point> points{Point{}};
  std::map<std::string, Place> keys;
};

const std::vector<std::string> kAxisWords = {"zip", "cases", "sample", "replicate"};

std::string too_many_points() { return fmt::format("the sweep has more than {} points", kMostPoints); }

class Expander {
 public:
  Expander(Axes& axes, Diagnostics& problems) : axes_(axes), problems_(problems) {}

  std::vector<Point> points(const YamlNode& node) {
    Axis all = list(node);
    return too_many_ ? std::vector<Point>(1) : std::move(all.points);
  }

 private:
  Axis list(const YamlNode& node) {
    Axis product;
    if (!node.is_list()) {
      problems_.error(node.place, "axes are a list, one '- key: [values]' each");
      return product;
    }
    for (const NodePtr& item : node.items) multiply(product, entry(*item), item->place);
    return product;
  }

  const Entry* keep(Entry entry) { return &axes_.entries.emplace_back(std::move(entry)); }

  void multiply(Axis& product, const Axis& axis, const Place& place) {
    for (const auto& [key, at] : axis.keys) {
      const auto [first, is_new] = product.keys.emplace(key, at);
      if (!is_new) {
        problems_.error(at, fmt::format("'{}' is set by two axes, first in line {}", key, first->second.line));
        return;
      }
    }
    if (too_many_) return;
    if (axis.points.size() > kMostPoints / product.points.size()) return refuse_size(place);
    std::vector<Point> points;
    points.reserve(product.points.size() * axis.points.size());
    for (const Point& left : product.points) {
      for (const Point& right : axis.points) {
        Point& both = points.emplace_back(left);
        both.entries.insert(both.entries.end(), right.entries.begin(), right.entries.end());
        both.cases.insert(both.cases.end(), right.cases.begin(), right.cases.end());
        if (right.replicate) both.replicate = right.replicate;
      }
    }
    product.points = std::move(points);
  }

  void refuse_size(const Place& place) {
    problems_.error(place, too_many_points());
    too_many_ = true;
  }

  Axis entry(const YamlNode& node) {
    if (!node.is_map() || node.members.empty()) {
      problems_.error(node.place, "an axis is a map: 'key: [values]', zip, cases, sample or replicate");
      return {};
    }
    const Member* cases = node.find("cases");
    std::size_t words = 0;
    for (const Member& member : node.members) {
      words += std::count(kAxisWords.begin(), kAxisWords.end(), member.key);
    }
    if (words == 0) return misspelt_word(node) ? Axis{} : plain(node);
    const bool has_key = cases && node.find("key");
    if (node.members.size() != (has_key ? 2u : 1u)) {
      for (const Member& member : node.members) {
        if (&member == &node.members.front() || (has_key && member.key == "key")) continue;
        problems_.error(member.place, fmt::format("'{}' must be an axis of its own, not beside '{}'", member.key,
                                                  node.members.front().key));
      }
      return {};
    }
    if (cases) return alternatives(*cases->value, node.find("key"));
    const Member& only = node.members.front();
    if (only.key == "zip") return zip(*only.value);
    if (only.key == "sample") return sample(*only.value);
    return replicate(*only.value);
  }

  bool misspelt_word(const YamlNode& node) {
    for (const Member& member : node.members) {
      std::string hint = did_you_mean(member.key, kAxisWords);
      if (hint.empty()) continue;
      problems_.error(member.place, fmt::format("unknown key '{}'", member.key), std::move(hint));
      return true;
    }
    return false;
  }

  // Lists of values below a map, by dotted key; an item may itself be a list, for settings that are lists.
  void collect_lists(const YamlNode& node, const std::string& prefix, std::vector<std::vector<const Entry*>>& lists) {
    for (const Member& member : node.members) {
      const std::string key = prefix.empty() ? member.key : prefix + "." + member.key;
      const YamlNode& value = *member.value;
      if (value.is_map()) {
        collect_lists(value, key, lists);
        continue;
      }
      if (!value.is_list()) {
        problems_.error(value.place, fmt::format("an axis needs a list of values: '{}: [...]'", key));
        continue;
      }
      if (value.items.empty()) {
        problems_.error(value.place, fmt::format("axis '{}' has no values", key));
        continue;
      }
      std::vector<const Entry*>& list = lists.emplace_back();
      for (const NodePtr& item : value.items) {
        auto text = value_text(*item, key, problems_);
        if (text) list.push_back(keep({key, std::move(*text), member.place, item->place}));
      }
      if (list.empty()) lists.pop_back();
    }
  }

  Axis plain(const YamlNode& node) {
    std::vector<std::vector<const Entry*>> lists;
    collect_lists(node, "", lists);
    Axis product;
    for (const auto& list : lists) {
      Axis axis;
      axis.points.clear();
      for (const Entry* value : list) axis.points.push_back({{value}, {}, {}});
      axis.keys.emplace(list.front()->key, list.front()->key_place);
      multiply(product, axis, list.front()->key_place);
    }
    return product;
  }

  Axis zip(const YamlNode& node) {
    if (!node.is_map()) {
      problems_.error(node.place, "'zip' is a map of lists of one length");
      return {};
    }
    std::vector<std::vector<const Entry*>> lists;
    collect_lists(node, "", lists);
    Axis axis;
    if (lists.empty()) return axis;
    axis.points.resize(lists.front().size());
    for (const auto& list : lists) {
      const Entry& first = *list.front();
      if (list.size() != axis.points.size()) {
        problems_.error(first.key_place,
                        fmt::format("zip needs lists of one length: '{}' has {}, '{}' has {}", first.key, list.size(),
                                    lists.front().front()->key, axis.points.size()));
        continue;
      }
      if (!axis.keys.emplace(first.key, first.key_place).second) {
        problems_.error(first.key_place, fmt::format("key '{}' is given twice in this zip", first.key));
        continue;
      }
      for (std::size_t i = 0; i < list.size(); ++i) axis.points[i].entries.push_back(list[i]);
    }
    return axis;
  }

  Axis replicate(const YamlNode& node) {
    Axis axis;
    const Setting setting{.key = "replicate",
                          .kind = Setting::Kind::Int,
                          .fallback = {},
                          .range = Range{1, static_cast<double>(kMostPoints)}};
    std::vector<SettingProblem> wrong;
    const std::string text = node.is_scalar() ? node.text : name_of(node.kind);
    const Settings checked =
        resolve({setting}, Settings(std::map<std::string, std::string, std::less<>>{{"replicate", text}}), wrong);
    if (!wrong.empty()) {
      problems_.error(node.place, "'replicate' " + wrong.front().text);
      return axis;
    }
    axis.points.clear();
    for (std::int64_t r = 0; r < checked.integer("replicate"); ++r) axis.points.push_back({{}, {}, r});
    axis.keys.emplace("replicate", node.place);
    return axis;
  }

  Axis sample(const YamlNode& node) {
    Axis axis;
    const auto request = read_sample(node, problems_);
    if (!request) return axis;
    if (request->kind == SampleKind::Lhs) {
      axes_.notes.push_back(fmt::format(
          "{}: 'lhs' points all change when n changes, unless it becomes a multiple and 'keep' has what it was; "
          "sobol, halton and random keep the first n",
          problems_.where(node.place)));
    }
    const auto values = sample_points(request->kind, request->n, request->seed, request->space, request->keep);
    axis.points.assign(values.size(), {});
    for (std::size_t k = 0; k < request->space.size(); ++k) {
      const std::string& key = request->space[k].key;
      axis.keys.emplace(key, request->places[k]);
      for (std::size_t i = 0; i < values.size(); ++i) {
        axis.points[i].entries.push_back(keep({key, values[i][k], request->places[k], request->places[k]}));
      }
    }
    return axis;
  }

  Axis alternatives(const YamlNode& node, const Member* key_member) {
    std::string key = "method.name";
    if (key_member && !key_member->value->is_scalar()) {
      problems_.error(key_member->value->place, "'key' is the setting that a case's name sets");
    } else if (key_member) {
      key = key_member->value->text;
    }
    axes_.case_keys.push_back(key);
    Axis axis;
    if (!node.is_list() || node.items.empty()) {
      problems_.error(node.place, "'cases' is a list of '{name: ..., axes: [...]}'");
      return axis;
    }
    axis.points.clear();
    for (std::size_t i = 0; i < node.items.size(); ++i) {
      Axis one = alternative(*node.items[i], key);
      for (Point& point : one.points) point.cases.insert(point.cases.begin(), static_cast<int>(i));
      axis.points.insert(axis.points.end(), one.points.begin(), one.points.end());
      axis.keys.insert(one.keys.begin(), one.keys.end());
      if (axis.points.size() > kMostPoints) {
        refuse_size(node.place);
        break;
      }
    }
    return axis;
  }

  Axis alternative(const YamlNode& node, const std::string& key) {
    Axis axis;
    if (node.is_scalar()) {
      fix(axis, {key, node.text, node.place, node.place});
      return axis;
    }
    const Member* name = node.is_map() ? node.find("name") : nullptr;
    if (!name || !name->value->is_scalar()) {
      problems_.error(name ? name->value->place : node.place,
                      fmt::format("a case needs a 'name', which sets '{}'", key));
      return axis;
    }
    fix(axis, {key, name->value->text, name->place, name->value->place});
    // Everything but name, axes and sample is a setting of this case.
    YamlNode fixed;
    fixed.kind = YamlNode::Kind::Map;
    for (const Member& member : node.members) {
      if (member.key == "axes") {
        multiply(axis, list(*member.value), member.place);
      } else if (member.key == "sample") {
        multiply(axis, sample(*member.value), member.place);
      } else if (member.key != "name") {
        fixed.members.push_back(member);
      }
    }
    for (Entry& entry : flatten(fixed, "", problems_)) fix(axis, std::move(entry));
    return axis;
  }

  void fix(Axis& axis, Entry entry) {
    Axis one;
    one.keys.emplace(entry.key, entry.key_place);
    const Place place = entry.key_place;
    one.points.front().entries.push_back(keep(std::move(entry)));
    multiply(axis, one, place);
  }

  Axes& axes_;
  Diagnostics& problems_;
  bool too_many_ = false;
};

}  // namespace

Axes expand_axes(const NodePtr& list, Diagnostics& problems) {
  Axes axes;
  if (list) {
    axes.points = Expander(axes, problems).points(*list);
  } else {
    axes.points.push_back({});
  }
  return axes;
}

void add_axis(Axes& axes, const std::vector<Entry>& values, Diagnostics& problems) {
  if (values.size() > kMostPoints / axes.points.size()) {
    problems.error(values.front().key_place, too_many_points());
    return;
  }
  std::vector<Point> points;
  points.reserve(axes.points.size() * values.size());
  for (const Point& point : axes.points) points.insert(points.end(), values.size(), point);
  for (std::size_t v = 1; v < values.size(); ++v) {
    const Entry* value = &axes.entries.emplace_back(values[v]);
    for (std::size_t i = v; i < points.size(); i += values.size()) points[i].replacing.push_back(value);
  }
  axes.points = std::move(points);
}

}  // namespace winnow
