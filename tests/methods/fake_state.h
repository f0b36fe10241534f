// A TrainState without training, for unit tests of methods: parameters of the given layers, gradients and probes as the test says.
// Parameters live apart from what methods see of them, as those of a device do. Not synchronised.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/method.h"
#include "experiments/methods/compose.h"
#include "tests/core/host_stream.h"

namespace winnow {

inline std::unique_ptr<Method> made_method(std::map<std::string, std::string, std::less<>> settings) {
  return make_method(Settings(std::move(settings)));
}

inline Model linear_layers(const std::vector<Shape>& shapes) {
  Model model;
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    const std::string layer = "fc" + std::to_string(i + 1);
    ParamSpec spec;
    spec.name = layer;
    spec.name += ".weight";
    spec.shape = spec.layer_shape = shapes[i];
    spec.init = {InitSpec::Kind::Normal, 1.0};
    spec.prunable = true;
    spec.layer = layer;
    model.params.push_back(spec);
  }
  return model;
}

class FakeState final : public TrainState {
 public:
  explicit FakeState(const Model& model)
      : model_(model), params_(model, {slot_per_entry}, std::make_shared<test::HostStream>()) {
    params_.initialise(1);
    params_.enter_event("at a test", true);
  }

  void set_weight(std::size_t i, const std::vector<float>& values) {
    std::copy(values.begin(), values.end(), params_.change(ParamId(i)).begin());
  }
  std::vector<std::uint8_t> keep(std::size_t i, MaskKind kind = MaskKind::Keep) const {
    const auto bits = params_.mask(ParamId(i), kind);
    return {bits.begin(), bits.end()};
  }
  std::int64_t logged(const std::string& what) const {
    std::int64_t count = 0;
    for (const auto& entry : events) count += entry.first == what;
    return count;
  }

  std::int64_t step() const override { return at_step; }
  const RunLength& length() const override { return run; }
  double learning_rate() const override { return 0.1; }
  ParamStore& params() override { return params_; }
  std::vector<ParamId> prunable() const override {
    std::vector<ParamId> ids;
    for (std::size_t i = 0; i < model_.params.size(); ++i) {
      if (model_.params[i].prunable) ids.push_back(ParamId(i));
    }
    return ids;
  }
  ProbeResult probe(const ProbeRequest& request) override {
    ProbeResult result = answer(request);
    if (!request.in_double || !result.double_grads.empty()) return result;
    for (const std::vector<float>& grads : result.grads) {
      result.double_grads.emplace_back(grads.begin(), grads.end());
    }
    return result;
  }
  void recalibrate(std::int64_t) override {}
  std::vector<LayerWeight> effective_weights() override { return {}; }
  double observed(std::string_view name) const override { return observations.at(std::string(name)); }
  ChannelGroups channel_groups() const override { return ChannelGroups(model_); }
  void remove_channels(std::span<const std::int64_t>) override {
    throw Error(ErrorKind::Internal, "a state without a network has no channels");
  }
  RngKey rng(std::string_view stream) const override {
    return {seed, stream_id(stream), static_cast<std::uint32_t>(at_step)};
  }
  void log(std::string_view what, std::string_view layer, double) override { events.emplace_back(what, layer); }

  std::uint64_t seed = 5;
  std::int64_t at_step = 0;
  RunLength run{1000, 100};
  std::function<ProbeResult(const ProbeRequest&)> answer;
  std::map<std::string, double> observations;
  std::vector<std::pair<std::string, std::string>> events;

 private:
  Model model_;
  ParamStore params_;
};

inline Moment begin() { return {When::Begin, 0, 0, 0}; }

}  // namespace winnow
