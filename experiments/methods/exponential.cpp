// Exponential discretisation: after training every weight of a layer becomes its sign times the nearest of the levels
// M r^k, of which the largest is the layer's largest weight. There is no level zero: what a mask drops stays dropped,
// because only kept entries have codes.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/codebook.h"
#include "core/error.h"
#include "experiments/methods/registry.h"
#include "experiments/methods/toolkit/density.h"
#include "experiments/methods/toolkit/exempt_layers.h"

namespace winnow {
namespace {

constexpr double kLeastRatio = 0.02, kMostRatio = 0.98, kRatioTolerance = 1e-4;
constexpr int kScan = 25;  // ratios that are tried before the search: the objective has several maxima

// Magnitudes of the levels in falling order, as they are stored.
std::vector<float> levels_of(double largest, double ratio, std::int64_t count) {
  std::vector<float> levels;
  for (std::int64_t k = 0; k < count; ++k) {
    levels.push_back(static_cast<float>(largest * std::pow(ratio, static_cast<double>(k))));
  }
  return levels;
}

// The nearest of the falling `levels`, of two equally near ones the larger.
std::size_t nearest_level(double magnitude, std::span<const float> levels) {
  const auto below =
      std::ranges::lower_bound(levels, magnitude, std::greater{}, [](float level) { return double{level}; });
  const auto at = static_cast<std::size_t>(below - levels.begin());
  if (at == 0) return 0;
  if (at == levels.size()) return at - 1;
  return magnitude >= 0.5 * (double{levels[at - 1]} + double{levels[at]}) ? at - 1 : at;
}

// Of two lists of equal length, in the sense of Pearson; 0 where one of them is constant.
double correlation(std::span<const double> a, std::span<const double> b) {
  const auto mean = [](std::span<const double> x) {
    return std::accumulate(x.begin(), x.end(), 0.0) / static_cast<double>(x.size());
  };
  const double mean_a = mean(a), mean_b = mean(b);
  double both = 0, of_a = 0, of_b = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    both += (a[i] - mean_a) * (b[i] - mean_b);
    of_a += (a[i] - mean_a) * (a[i] - mean_a);
    of_b += (b[i] - mean_b) * (b[i] - mean_b);
  }
  return of_a > 0 && of_b > 0 ? both / std::sqrt(of_a * of_b) : 0;
}

double squared_error(std::span<const double> a, std::span<const double> b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return sum;
}

// The kept weights of one layer and what becomes of them.
class Discretisation {
 public:
  Discretisation(std::vector<double> weights, std::int64_t bits) : weights_(std::move(weights)), bits_(bits) {
    for (const double weight : weights_) largest_ = std::max(largest_, std::fabs(weight));
  }

  double largest() const { return largest_; }
  std::vector<float> levels(double ratio) const { return levels_of(largest_, ratio, std::int64_t{1} << (bits_ - 1)); }
  std::vector<double> values(double ratio) const {
    const std::vector<float> magnitudes = levels(ratio);
    std::vector<double> found;
    for (const double weight : weights_) {
      const double magnitude = magnitudes[nearest_level(std::fabs(weight), magnitudes)];
      found.push_back(weight < 0 ? -magnitude : magnitude);
    }
    return found;
  }
  double correlation_at(double ratio) const { return correlation(weights_, values(ratio)); }
  double error_at(double ratio) const { return squared_error(weights_, values(ratio)); }

  // By golden section around the best of evenly spaced ratios.
  double best_ratio(bool by_correlation) const {
    const auto value = [&](double ratio) { return by_correlation ? correlation_at(ratio) : -error_at(ratio); };
    const double step = (kMostRatio - kLeastRatio) / (kScan - 1);
    double best = kLeastRatio, best_value = value(best);
    for (int i = 1; i < kScan; ++i) {
      const double ratio = kLeastRatio + step * i, now = value(ratio);
      if (now > best_value) best = ratio, best_value = now;
    }
    double low = std::max(kLeastRatio, best - step), high = std::min(kMostRatio, best + step);
    const double section = (std::sqrt(5.0) - 1) / 2;
    double left = high - section * (high - low), right = low + section * (high - low);
    double at_left = value(left), at_right = value(right);
    while (high - low > kRatioTolerance) {
      if (at_left >= at_right) {
        high = right, right = left, at_right = at_left;
        left = high - section * (high - low), at_left = value(left);
      } else {
        low = left, left = right, at_left = at_right;
        right = low + section * (high - low), at_right = value(right);
      }
    }
    const double found = 0.5 * (low + high);
    return value(found) > best_value ? found : best;
  }

  // A code is the number of its level, and the sign above it.
  Encoded encoded(double ratio) const {
    const std::vector<float> magnitudes = levels(ratio);
    std::vector<float> table = magnitudes;
    for (const float magnitude : magnitudes) table.push_back(magnitude == 0 ? 0 : -magnitude);
    std::vector<std::uint32_t> codes;
    for (const double weight : weights_) {
      const std::size_t level = nearest_level(std::fabs(weight), magnitudes);
      codes.push_back(static_cast<std::uint32_t>(weight < 0 ? level + magnitudes.size() : level));
    }
    Encoded form = codebook(codes, table, std::ssize(table));
    form.attributes["largest"] = largest_;
    form.attributes["ratio"] = ratio;
    form.bits = bits_ * std::ssize(codes) + kBesideBits;
    return form;
  }
  static constexpr std::int64_t kBesideBits = 64;  // largest and ratio: the table follows from them

 private:
  std::vector<double> weights_;
  std::int64_t bits_;
  double largest_ = 0;
};

class Exponential final : public Method {
 public:
  explicit Exponential(const Settings& settings)
      : bits_(settings.integer("bits")),
        ratio_(settings.real("ratio")),
        by_correlation_(settings.text("objective") == "correlation"),
        keep_(settings.texts("keep")) {}

  Touches touches() const override { return {.stored_form = true}; }

  void edit(GraphEditor& editor) override {
    for (const PrunedTensor& tensor : pruned_tensors(editor.model().params)) {
      if (!editor.model().param(tensor.id).derived) continue;
      fail(ErrorKind::Settings,
           "exponential: discretises the weights that are trained, but another method computes '{}' from parameters of "
           "its own; leave out one of them",
           tensor.name);
    }
    without_exempt(editor.model().params, keep_);
  }

  void forecast(MaskForecast& forecast, const Model& edited, const RunLength&) const override {
    for (const ParamId id : without_exempt(edited.params, keep_)) {
      forecast.codes.push_back({id, bits_, Discretisation::kBesideBits});
    }
  }

  std::optional<Encoded> encode(ParamId id, const ParamStore& params) override {
    const std::vector<ParamId> ids = without_exempt(params.specs(), keep_);
    if (std::ranges::find(ids, id) == ids.end()) return std::nullopt;
    const auto weights = params.weight(id);
    const auto keep = params.mask(id, MaskKind::Keep);
    std::vector<double> kept;
    for (std::size_t i = 0; i < weights.size(); ++i) {
      if (keep.empty() || keep[i] != 0) kept.push_back(weights[i]);
    }
    const Discretisation layer(std::move(kept), bits_);
    const double ratio = ratio_ > 0 ? ratio_ : layer.best_ratio(by_correlation_);
    least_correlation_ = std::min(least_correlation_, layer.correlation_at(ratio));
    squared_error_ += layer.error_at(ratio);
    return layer.encoded(ratio);
  }

  void report(TrainState&, Facts& facts) const override {
    facts["method.least_correlation"] = least_correlation_;
    facts["method.squared_error"] = squared_error_;
  }

 private:
  std::int64_t bits_;
  double ratio_;
  bool by_correlation_;
  std::vector<std::string> keep_;
  double least_correlation_ = 1, squared_error_ = 0;  // of the layers that encode() has seen
};

}  // namespace

MethodDef exponential() {
  using Kind = Setting::Kind;
  MethodDef def;
  def.name = "exponential";
  def.meaning = "after training, each weight becomes its sign times the nearest of few levels M r^k of its layer";
  def.source = "Malsagov et al. 2019, exponential discretisation of weights, parts I and II";
  def.schema = {
      {.key = "bits",
       .kind = Kind::Int,
       .fallback = "4",
       .range = Range{2, 8},
       .unit = "bits",
       .meaning = "bits of a weight: one for the sign, the others for the level",
       .source = "3 to 5 in the paper"},
      {.key = "ratio",
       .kind = Kind::Real,
       .fallback = "0",
       .range = Range{0, 1, false, true},
       .meaning = "r, the ratio of two neighbouring levels; 0: searched for each layer; 0.5: products are shifts",
       .source = "part I: searched"},
      {.key = "objective",
       .kind = Kind::Choice,
       .fallback = "correlation",
       .choices = {"correlation", "error"},
       .meaning = "what the search makes best: the correlation of weights and levels, or their squared error",
       .source = "part II: correlation",
       .read_when = {{where("ratio", {"0"})}}},
      exempt_setting(),
  };
  def.make = [](const Settings& s) { return std::make_unique<Exponential>(s); };
  return def;
}

}  // namespace winnow
