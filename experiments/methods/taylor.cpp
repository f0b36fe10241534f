// Taylor pruning: while the trained network is fine-tuned, removes the channels whose gates matter least to the loss.
#include "experiments/methods/taylor.h"

#include <algorithm>
#include <numeric>

#include "core/error.h"
#include "experiments/methods/registry.h"
#include "experiments/methods/toolkit/channel_tools.h"
#include "experiments/methods/toolkit/fine_tune.h"
#include "experiments/methods/toolkit/schema_tools.h"

namespace winnow {

double taylor_importance(std::span<const double> gate_gradients) {
  const double loss = std::accumulate(gate_gradients.begin(), gate_gradients.end(), 0.0);
  return loss * loss / static_cast<double>(gate_gradients.size());
}

double kept_importance(std::optional<double> before, double mean, double momentum) {
  return before ? momentum * *before + (1 - momentum) * mean : mean;
}

namespace {

class Taylor final : public Method {
 public:
  explicit Taylor(const Settings& settings)
      : settings_(settings),
        scope_(scope_of(settings)),
        share_(settings.real("prune")),
        remove_(settings.integer("remove")),
        momentum_(settings.real("momentum")),
        interval_(settings.length("interval")) {}

  Touches touches() const override { return {.phases = true, .channels = true}; }

  // Of the whole network, whatever is gone by now: finds out when a trial is planned what cannot lose channels.
  void edit(GraphEditor& editor) override {
    const ChannelGroups groups(editor.model());
    families_.clear();
    for (const ChannelGroup& group : groups.groups()) families_.push_back(group.family);
    made_ = made_groups(editor, groups);
    if (whole() == 0) fail(ErrorKind::Settings, "{} has no channels to remove", editor.model().name);
    if (left_after(rounds()) < groups.families()) {
      fail(ErrorKind::Settings, "method.prune: {} leaves {} of {} channels, and each of {} layers must keep one",
           share_, left_after(rounds()), whole(), groups.families());
    }
    if (!left_.empty()) return;
    left_.resize(families_.size());
    std::iota(left_.begin(), left_.end(), 0);
    batches_.assign(left_.size(), 0);
  }

  std::optional<Phase> phase(int index, const RunLength& length) const override {
    if (index == 0) return Phase{.last_step = length.steps};
    if (index > 1 || rounds() == 0) return std::nullopt;
    std::optional<Phase> phase = fine_tune_phase(settings_, length.steps, length);
    const std::int64_t steps = phase ? phase->last_step - phase->first_step : 0;
    if (rounds() * length.resolve(interval_) > steps) {
      fail(ErrorKind::Settings,
           "method.fine_tune.epochs: channels are removed {} times after {} steps each, in {} steps", rounds(),
           length.resolve(interval_), steps);
    }
    phase->name = "prune";
    return phase;
  }

  void schedule(EventPlan& plan, const RunLength& length) const override {
    if (rounds() > 0) plan.after_step.add({length.steps + 1, last_removal(length), 1});
  }

  // Each batch is scored before it is trained on, by the same weights.
  Verdict on_event(const Moment& moment, TrainState& state) override {
    if (moment.phase != 1 || (moment.when != When::Begin && moment.when != When::AfterStep)) return Verdict::Update;
    const RunLength& length = state.length();
    const std::int64_t done = moment.step - length.steps, every = length.resolve(interval_);
    if (moment.step > last_removal(length)) return Verdict::Update;
    if (done > 0 && done % every == 0) remove(state, done / every);
    if (moment.step < last_removal(length)) score(state);
    return Verdict::Update;
  }

  void forecast(MaskForecast& forecast, const Model& edited, const RunLength& length) const override {
    const ChannelGroups groups(edited);
    std::vector<ScoredGroup> left;
    std::map<int, std::int64_t> sizes, seen;
    for (const int family : families_) ++sizes[family];
    // Layers lose equal shares, of which it does not matter who they are.
    for (const ChannelGroup& group : groups.groups()) {
      const auto place = static_cast<double>(seen[group.family]++);
      left.push_back({std::ssize(left), group.family, -place / static_cast<double>(sizes[group.family])});
    }
    for (std::int64_t round = 1; round <= rounds(); ++round) {
      const std::vector<std::int64_t> gone = leaving(left, round);
      forecast.removals.push_back(
          {.phase = 1, .step = length.steps + round * length.resolve(interval_), .groups = gone});
      erase(left, gone);
      for (std::size_t i = 0; i < left.size(); ++i) left[i].group = static_cast<std::int64_t>(i);
    }
    forecast.equal_shares = scope_ == Scope::Global;
    forecast.scoring_batches += rounds() * length.resolve(interval_);
  }

  void save(StateWriter& out) const override {
    out.put_values<std::int64_t>("taylor/left", left_);
    out.put_values<double>("taylor/importance", importance_);
    out.put_values<double>("taylor/batches", batches_);
  }
  void load(StateReader& in) override {
    left_ = in.get_list<std::int64_t>("taylor/left");
    importance_ = in.get_list<double>("taylor/importance");
    batches_ = in.get_list<double>("taylor/batches");
  }

  void report(TrainState&, Facts& facts) const override {
    facts["method.channels"] = static_cast<double>(left_.size());
    facts["method.channels_before"] = static_cast<double>(whole());
  }

 private:
  std::int64_t whole() const { return std::ssize(families_); }
  std::int64_t rounds() const {
    const std::int64_t gone = whole() - kept_count(whole(), share_);
    return (gone + remove_ - 1) / remove_;
  }
  std::int64_t left_after(std::int64_t round) const {
    return std::max(kept_count(whole(), share_), whole() - round * remove_);
  }
  std::int64_t last_removal(const RunLength& length) const {
    return length.steps + rounds() * length.resolve(interval_);
  }

  // Which go in a round, of all that are left.
  std::vector<std::int64_t> leaving(const std::vector<ScoredGroup>& left, std::int64_t round) const {
    if (scope_ == Scope::Global) return lowest_groups(left, std::ssize(left) - left_after(round));
    const double share =
        round == rounds() ? share_ : static_cast<double>(round * remove_) / static_cast<double>(whole());
    std::map<int, std::vector<ScoredGroup>> layers;
    for (const ScoredGroup& group : left) layers[group.family].push_back(group);
    std::vector<std::int64_t> gone;
    for (const auto& [family, groups] : layers) {
      const std::int64_t stay = kept_count(std::ranges::count(families_, family), share);
      const std::vector<std::int64_t> own = lowest_groups(groups, std::ssize(groups) - stay);
      gone.insert(gone.end(), own.begin(), own.end());
    }
    std::ranges::sort(gone);
    return gone;
  }

  // Adds the importance of all that are left on the coming batch.
  void score(TrainState& state) {
    std::vector<std::int64_t> place(families_.size(), -1);  // among those that are left
    for (std::size_t i = 0; i < left_.size(); ++i)
      place[static_cast<std::size_t>(left_[i])] = static_cast<std::int64_t>(i);
    std::vector<std::vector<double>> gates(left_.size());
    const ProbeResult probed =
        state.probe({.first_batch = state.step(), .edit = add_gates, .edit_name = "channel gates"});
    for (const auto& [layer, channels] : made_) {
      const std::vector<float>& gradients = probed.named.at(layer).gradient;
      auto gradient = gradients.begin();
      for (const std::optional<std::size_t>& group : channels) {
        if (group && place[*group] < 0) continue;  // gone
        if (group) gates[static_cast<std::size_t>(place[*group])].push_back(static_cast<double>(*gradient));
        ++gradient;
      }
      if (gradient != gradients.end()) fail(ErrorKind::Internal, "gates of '{}' are not its channels", layer);
    }
    for (std::size_t i = 0; i < gates.size(); ++i) batches_[i] += taylor_importance(gates[i]);
  }

  void remove(TrainState& state, std::int64_t round) {
    const auto batches = static_cast<double>(state.length().resolve(interval_));
    const ChannelGroups groups = state.channel_groups();
    std::vector<ScoredGroup> scored;
    for (std::size_t i = 0; i < left_.size(); ++i) {
      const auto before = importance_.empty() ? std::nullopt : std::optional(importance_[i]);
      scored.push_back({static_cast<std::int64_t>(i), groups.groups().at(i).family,
                        kept_importance(before, batches_[i] / batches, momentum_)});
    }
    const std::vector<std::int64_t> gone = leaving(scored, round);
    remove_groups(state, groups, gone);
    erase(scored, gone);
    erase(left_, gone);
    importance_.clear();
    for (const ScoredGroup& group : scored) importance_.push_back(group.score);
    batches_.assign(left_.size(), 0);
  }

  // The entries at these positions, which rise.
  template <class T>
  static void erase(std::vector<T>& values, const std::vector<std::int64_t>& positions) {
    for (auto at = positions.rbegin(); at != positions.rend(); ++at) values.erase(values.begin() + *at);
  }

  Settings settings_;
  Scope scope_;
  double share_;
  std::int64_t remove_;
  double momentum_;
  Length interval_;
  std::vector<int> families_;       // of the whole network's groups
  MadeGroups made_;                 // counted among these
  std::vector<std::int64_t> left_;  // of these
  std::vector<double> importance_;  // of each that is left; empty before the first removal
  std::vector<double> batches_;     // sum over the batches since then
};

}  // namespace

MethodDef taylor() {
  using Kind = Setting::Kind;
  MethodDef def;
  def.name = "taylor";
  def.meaning =
      "trains, then fine-tunes and meanwhile removes the channels of the least importance: the squared gradient of a "
      "gate on each, by which the loss changes to first order when it closes";
  def.source = "Molchanov et al. 2019 (arXiv 1906.10771), NVlabs/Taylor_pruning";
  def.schema =
      joined({{{.key = "prune",
                .kind = Kind::Real,
                .fallback = "0.28",
                .range = Range{0, 1, false, true},
                .unit = "share",
                .meaning = "share of the channels that is removed: N - floor(prune * N) of N stay; channels that "
                           "a residual sum or a concatenation ties together count as one",
                .source = "paper: 0.09 to 0.44 for ResNet-50"},
               {.key = "scope",
                .kind = Kind::Choice,
                .fallback = "global",
                .choices = {"global", "layer"},
                .meaning = "whether channels are compared over all layers, of which each keeps one, or within "
                           "each, all of which lose the same share",
                .source = "global: paper; layer: ours, for comparisons"},
               {.key = "remove",
                .kind = Kind::Int,
                .fallback = "100",
                .range = Range{1, 1e9},
                .unit = "channels",
                .meaning = "channels removed at a time",
                .source = "official code"},
               {.key = "interval",
                .kind = Kind::Length,
                .fallback = "30it",
                .range = Range{1, 1e12},
                .unit = "epochs or steps",
                .meaning = "steps before each removal; importance is the mean over their batches, each taken "
                           "before it is trained on",
                .source = "official code",
                .span = Span{.until = "fine_tune.epochs", .with_end = true}},
               {.key = "momentum",
                .kind = Kind::Real,
                .fallback = "0.9",
                .range = Range{0, 1, false, true},
                .meaning = "share of a channel's importance that is kept from the removal before",
                .source = "official code"}},
              fine_tune_schema("25ep", "0.001", "official code, which divides the rate by 10 every 10 epochs")});
  def.make = [](const Settings& s) { return std::make_unique<Taylor>(s); };
  def.example = {.model = "resnet20",
                 .settings = {{"prune", "0.5"},
                              {"scope", "layer"},
                              {"remove", "80"},
                              {"interval", "3it"},
                              {"fine_tune.epochs", "12it"},
                              {"fine_tune.lr", "0.01"}}};
  return def;
}

}  // namespace winnow
