#include "experiments/run/weight_state.h"

#include <fmt/format.h>

#include <array>

#include "core/error.h"

namespace winnow {
namespace {

void save_shape(StateWriter& out, const char* key, const Shape& shape) {
  out.put_values<std::int64_t>(key, std::vector<std::int64_t>(shape.begin(), shape.end()));
}
Shape load_shape(StateReader& in, const char* key) {
  const auto extents = in.get_list<std::int64_t>(key);
  if (extents.size() > Shape::kMaxRank) fail(ErrorKind::Input, "saved weight has {} dimensions", extents.size());
  return Shape(extents);
}

void save_seeded(StateWriter& out, const SeededInit& from) {
  out.put_values<std::uint64_t>("seeded/key",
                                std::array<std::uint64_t, 3>{from.key.seed, from.key.stream, from.key.step});
  out.put_values<std::int64_t>(
      "seeded/rule", std::array{static_cast<std::int64_t>(from.spec.kind), from.spec.fan_in, from.spec.fan_out});
  out.put_value("seeded/value", from.spec.value);
}
SeededInit load_seeded(StateReader& in) {
  std::array<std::uint64_t, 3> key{};
  std::array<std::int64_t, 3> rule{};
  in.get_values("seeded/key", std::span<std::uint64_t>(key));
  in.get_values("seeded/rule", std::span<std::int64_t>(rule));
  if (rule[0] < 0 || rule[0] > static_cast<std::int64_t>(InitSpec::Kind::SignedXavier)) {
    fail(ErrorKind::Input, "saved weight has an unknown initial distribution");
  }
  return {{.kind = static_cast<InitSpec::Kind>(rule[0]),
           .value = in.get_value<double>("seeded/value"),
           .fan_in = rule[1],
           .fan_out = rule[2]},
          {key[0], static_cast<std::uint32_t>(key[1]), static_cast<std::uint32_t>(key[2])}};
}

void save_weight(StateWriter& out, const WeightRecord& weight) {
  if (weight.encoded) fail(ErrorKind::Internal, "'{}' has a form of its method's own before its training", weight.name);
  out.put_text("name", weight.name);
  save_shape(out, "shape", weight.shape);
  out.put_values<std::uint8_t>("flags",
                               std::array<std::uint8_t, 3>{weight.trained, weight.prunable, weight.seeded.has_value()});
  out.put_values<float>("values", weight.values);
  out.put_values<std::uint8_t>("keep", weight.keep);
  out.put_values<std::uint8_t>("train", weight.train);
  if (weight.seeded) save_seeded(out, *weight.seeded);
  save_shape(out, "whole", weight.whole);
  out.put_value("left", static_cast<std::int64_t>(weight.left.size()));
  for (std::size_t d = 0; d < weight.left.size(); ++d) {
    out.put_values<std::int64_t>(fmt::format("left/{}", d), weight.left[d]);
  }
}

WeightRecord load_weight(StateReader& in) {
  WeightRecord weight{.name = in.get_text("name"),
                      .shape = load_shape(in, "shape"),
                      .values = in.get_list<float>("values"),
                      .keep = in.get_list<std::uint8_t>("keep"),
                      .train = in.get_list<std::uint8_t>("train")};
  std::array<std::uint8_t, 3> flags{};
  in.get_values("flags", std::span<std::uint8_t>(flags));
  weight.trained = flags[0] != 0;
  weight.prunable = flags[1] != 0;
  if (flags[2] != 0) weight.seeded = load_seeded(in);
  weight.whole = load_shape(in, "whole");
  const auto dimensions = in.get_value<std::int64_t>("left");
  if (dimensions < 0 || dimensions > Shape::kMaxRank)
    fail(ErrorKind::Input, "saved weight lost {} dimensions", dimensions);
  for (std::int64_t d = 0; d < dimensions; ++d) {
    weight.left.push_back(in.get_list<std::int64_t>(fmt::format("left/{}", d)));
  }
  return weight;
}

}  // namespace

void save_weights(StateWriter& out, const std::vector<WeightRecord>& weights) {
  out.put_value("count", static_cast<std::int64_t>(weights.size()));
  for (std::size_t i = 0; i < weights.size(); ++i) {
    PrefixWriter one(out, fmt::format("{}", i));
    save_weight(one, weights[i]);
  }
}

std::vector<WeightRecord> restore_weights(StateReader& in) {
  std::vector<WeightRecord> weights;
  const auto count = in.get_value<std::int64_t>("count");
  for (std::int64_t i = 0; i < count; ++i) {
    PrefixReader one(in, fmt::format("{}", i));
    weights.push_back(load_weight(one));
  }
  return weights;
}

}  // namespace winnow
