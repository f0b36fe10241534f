// Structured sparsity learning: a group lasso over filters, channels, filter shapes and residual branches while the
// network trains, by proximal steps behind the optimiser's or through the gradient. Groups that are left almost at zero
// are cut at the end, and the rest may be fine-tuned under masks.
#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "experiments/methods/registry.h"
#include "experiments/methods/toolkit/fine_tune.h"
#include "experiments/methods/toolkit/mask_tools.h"
#include "experiments/methods/toolkit/weight_groups.h"

namespace winnow {
namespace {

constexpr const char* kStrength = "ssl.strength";  // 1 while groups shrink, 0 in fine-tuning

struct Family {
  const char* name;
  std::vector<WeightGroups> (*find)(const GraphEditor&);
  bool across_layers;  // its groups are compared over the network, and a network may have none
  double lambda = 0;
  std::vector<WeightGroups> groups = {};
};

class StructuredSparsity final : public Method {
 public:
  explicit StructuredSparsity(const Settings& settings)
      : proximal_(settings.text("step") == "proximal"),
        size_weight_(settings.flag("size_weight")),
        cut_(settings.real("cut")),
        fine_tune_(settings.length("fine_tune")) {
    for (Family& family : families_) family.lambda = settings.real(family.name);
  }

  Touches touches() const override { return {.masks = tunes(), .phases = tunes()}; }

  void edit(GraphEditor& editor) override {
    const ValueId strength =
        editor.graph().emit1("reduce_sum", {editor.build().buffer(kStrength, {1}, 1, false)}, {}, "ssl.strength.value");
    for (Family& family : families_) {
      family.groups = family.lambda > 0 ? family.find(editor) : std::vector<WeightGroups>();
      if (family.across_layers && family.lambda > 0 && family.groups.empty()) {
        fail(ErrorKind::Settings, "method.{}: model '{}' has no residual blocks", family.name, editor.model().name);
      }
      if (!family.groups.empty()) add_loss(editor, family, strength);
    }
  }

  void edit_update(UpdateGraph& update) override {
    if (!proximal_ || !shrinks(update.phase())) return;
    update.then([this](UpdateGraph& stepped) {
      for (const Family& family : families_) shrink(stepped, family);
    });
  }

  // At the end of the step, so that the evaluation behind it sees what is left.
  void schedule(EventPlan& plan, const RunLength& length) const override { plan.after_step.at(length.steps); }

  std::optional<Phase> phase(int index, const RunLength& length) const override {
    if (index != 1 || !tunes()) return Method::phase(index, length);
    return fine_tune_tail(fine_tune_, length);
  }

  Verdict on_event(const Moment& moment, TrainState& state) override {
    const bool now = shrinks(moment.phase);
    if (moment.when == When::Begin) begin(state.params(), now);
    if (moment.when == When::AfterStep && now && moment.step == state.length().steps) {
      cut(state);
      if (tunes()) keep_nonzero(state);
    }
    return Verdict::Update;
  }

  void forecast(MaskForecast& forecast, const Model&, const RunLength&) const override { forecast.upper_bound = true; }

  void report(TrainState& state, Facts& facts) const override {
    for (const Family& family : families_) {
      double zeros = 0, all = 0;
      for (const WeightGroups& groups : family.groups) {
        const std::vector<double> norms = norms_of(state.params(), groups);
        zeros += static_cast<double>(std::ranges::count(norms, 0.0));
        all += static_cast<double>(norms.size());
      }
      if (all > 0) facts[fmt::format("method.zero_{}", family.name)] = zeros / all;
    }
  }

 private:
  bool tunes() const { return fine_tune_.count > 0; }
  bool shrinks(int phase) const { return phase == 0 || !tunes(); }
  static std::string sum_of(const Family& family) { return fmt::format("ssl.{}.sum", family.name); }
  double weight_of(const WeightGroups& groups) const {
    return size_weight_ ? std::sqrt(static_cast<double>(groups.size)) : 1.0;
  }

  ValueId sum_of_norms(Graph& graph, const std::string& name, const WeightGroups& groups, ValueId norms) const {
    const ValueId sum = graph.emit1("reduce_sum", {norms}, {}, name + ".sum");
    if (!size_weight_) return sum;
    const ValueId factor =
        graph.emit1("fill", {}, {{"value", weight_of(groups)}, {"shape", std::vector<std::int64_t>{}}}, name + ".size");
    return graph.emit1("mul", {sum, factor}, {}, name + ".sized");
  }

  // Where the update shrinks, it leaves the sum that it has found, which is reported with the next batch.
  void add_loss(GraphEditor& editor, const Family& family, ValueId strength) const {
    Graph& graph = editor.graph();
    const std::string name = fmt::format("ssl.{}", family.name);
    ValueId sum = kNoValue;
    if (proximal_) {
      sum = graph.emit1("reduce_sum", {editor.build().buffer(sum_of(family), {1}, 0, false)}, {}, name);
    }
    for (const WeightGroups& groups : proximal_ ? std::vector<WeightGroups>() : family.groups) {
      std::vector<ValueId> weights;
      for (const ParamId id : groups.tensors) weights.push_back(editor.model().param(id).value);
      const ValueId term = sum_of_norms(graph, name, groups, norms_node(graph, name, groups, weights));
      sum = sum == kNoValue ? term : graph.emit1("add", {sum, term}, {}, name);
    }
    editor.add_loss({.name = name,
                     .value = graph.emit1("mul", {sum, strength}, {}, name + ".now"),
                     .weight = family.lambda,
                     .trained = !proximal_});
  }

  static ValueId norms_node(Graph& graph, const std::string& name, const WeightGroups& groups,
                            const std::vector<ValueId>& weights) {
    return graph.emit1("group_norms", weights, {{"groups", groups.groups}, {"inner", groups.inner}}, name + ".norms");
  }

  void shrink(UpdateGraph& update, const Family& family) const {
    Graph& graph = update.graph();
    const std::string name = fmt::format("ssl.{}", family.name);
    ValueId sum = kNoValue;
    for (const WeightGroups& groups : family.groups) {
      std::vector<ParamUpdate*> parts;
      std::vector<ValueId> weights;
      for (const ParamId id : groups.tensors) {
        const auto part = std::ranges::find(update.updates(), id, &ParamUpdate::id);
        parts.push_back(part == update.updates().end() ? nullptr : &*part);
        weights.push_back(parts.back() == nullptr ? update.weight(id) : part->new_weight);
      }
      const ValueId norms = norms_node(graph, name, groups, weights);
      const ValueId term = sum_of_norms(graph, name, groups, norms);
      sum = sum == kNoValue ? term : graph.emit1("add", {sum, term}, {}, name);
      if (std::ranges::count(parts, nullptr) > 0) continue;  // frozen, or at rest
      for (std::size_t i = 0; i < parts.size(); ++i) {
        parts[i]->new_weight =
            graph.emit1("group_shrink", {parts[i]->new_weight, norms, parts[i]->train, parts[i]->rate},
                        {{"groups", groups.groups},
                         {"inner", groups.inner[i]},
                         {"scale", family.lambda * weight_of(groups) * parts[i]->lr}},
                        name + ".shrink");
      }
    }
    if (sum != kNoValue) update.set_buffer(sum_of(family), sum);
  }

  void begin(ParamStore& params, bool now) const {
    set(params, kStrength, now ? 1.0f : 0.0f);
    for (const Family& family : families_) {
      double sum = 0;
      for (const WeightGroups& groups : family.groups) {
        for (const double norm : norms_of(params, groups)) sum += norm * weight_of(groups);
      }
      if (proximal_) set(params, sum_of(family), static_cast<float>(sum));
    }
  }
  static void set(ParamStore& params, const std::string& buffer, float value) {
    const auto specs = params.buffer_specs();
    const auto spec = std::ranges::find(specs, buffer, &BufferSpec::name);
    if (spec != specs.end()) params.change_buffer(static_cast<std::size_t>(spec - specs.begin()))[0] = value;
  }

  // Groups below `cut` of the largest norm among those they are compared with.
  void cut(TrainState& state) const {
    for (const Family& family : families_) {
      std::vector<std::vector<double>> norms;
      double family_largest = 0;
      for (const WeightGroups& groups : family.groups) {
        norms.push_back(norms_of(state.params(), groups));
        family_largest = std::max(family_largest, std::ranges::max(norms.back()));
      }
      for (std::size_t g = 0; g < norms.size(); ++g) {
        const double largest = family.across_layers ? family_largest : std::ranges::max(norms[g]);
        std::vector<char> chosen;
        for (const double norm : norms[g]) chosen.push_back(norm > 0 && norm < cut_ * largest ? 1 : 0);
        const auto count = std::ranges::count(chosen, 1);
        if (count == 0) continue;
        zero_groups(state.params(), family.groups[g], chosen);
        state.log(fmt::format("cut_{}", family.name),
                  state.params().specs()[static_cast<std::size_t>(family.groups[g].tensors.front())].layer,
                  static_cast<double>(count));
      }
    }
  }

  static void keep_nonzero(TrainState& state) {
    const std::vector<PrunedTensor> tensors = pruned_tensors(state);
    std::vector<Bits> masks;
    for (const PrunedTensor& tensor : tensors) {
      Bits& bits = masks.emplace_back();
      for (const float weight : state.params().weight(tensor.id)) bits.push_back(weight != 0 ? 1 : 0);
    }
    set_masks(state, tensors, masks, MaskKind::Keep);
  }

  bool proximal_, size_weight_;
  double cut_;
  Length fine_tune_;
  Family families_[4] = {{"filters", filter_groups, false},
                         {"channels", channel_groups, false},
                         {"shapes", shape_groups, false},
                         {"blocks", branch_groups, true}};  // in the order of the proximal steps
};

Setting lambda(const char* key, const char* fallback, const char* meaning) {
  return {.key = key,
          .kind = Setting::Kind::Real,
          .fallback = fallback,
          .range = Range{0, 1e3},
          .meaning = meaning,
          .source = "Wen et al. 2016; 5e-4 is ours"};
}

}  // namespace

MethodDef ssl() {
  using Kind = Setting::Kind;
  MethodDef def;
  def.name = "ssl";
  def.version = 2;  // 2: proximal steps are as long as the learning rate of their parameter; their sums are reported
  def.meaning =
      "structured sparsity learning: a group lasso drives whole filters, channels, filter shapes and residual blocks "
      "to "
      "zero while the network trains; init.from a dense trial's result is how the paper begins";
  def.source = "Wen et al. 2016, arXiv 1608.03665";
  const ReadWhen any_family = {
      {unless("filters", {"0"})}, {unless("channels", {"0"})}, {unless("shapes", {"0"})}, {unless("blocks", {"0"})}};
  def.schema = {
      lambda("filters", "0.0005", "lambda of |W[o]|; not of the layer that gives the classes"),
      lambda("channels", "0.0005", "lambda of |W[:, i]|; not of layers that read the images"),
      lambda("shapes", "0.0005", "lambda of |W[:, i, h, w]|, of convolutions"),
      lambda("blocks", "0", "lambda of the norm of all weights in the branch of a residual block"),
      {.key = "step",
       .kind = Kind::Choice,
       .fallback = "proximal",
       .choices = {"proximal", "subgradient"},
       .meaning = "proximal: after each update every group becomes shorter by lr * lambda, or zero, families in the "
                  "order of these settings; subgradient: lambda * w / |w| is added to the gradient",
       .source = "ours: the usual solver of a group lasso; Wen et al. 2016: subgradient",
       .read_when = any_family},
      {.key = "size_weight",
       .kind = Kind::Bool,
       .fallback = "false",
       .meaning = "lambda times the square root of the number of weights in a group",
       .source = "Yuan and Lin 2006",
       .read_when = any_family},
      {.key = "cut",
       .kind = Kind::Real,
       .fallback = "0.0001",
       .range = Range{0, 1, false, true},
       .unit = "share",
       .meaning =
           "groups whose norm is below this share of the largest in their layer (blocks: in the network) are set "
           "to zero after the last step",
       .source = "ours",
       .read_when = any_family},
      {.key = "fine_tune",
       .kind = Kind::Length,
       .fallback = "0ep",
       .range = Range{0, 1e12},
       .unit = "epochs or steps",
       .meaning =
           "length of a second training run without the lasso, in which zeros stay zero; its schedule is that of "
           "the last steps",
       .source = "Wen et al. 2016",
       .span = Span{.with_end = true}},
  };
  def.make = [](const Settings& s) { return std::make_unique<StructuredSparsity>(s); };
  def.example = {.settings = {{"filters", "0.1"}, {"channels", "0.05"}, {"shapes", "0.02"}}};
  return def;
}

}  // namespace winnow
