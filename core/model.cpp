#include "core/model.h"

#include <algorithm>
#include <tuple>

#include "core/error.h"

namespace winnow {
namespace {

constexpr double kNormEps = 1e-5, kNormMomentum = 0.1;  // PyTorch's defaults

}  // namespace

const char* name_of(ParamRole role) {
  switch (role) {
    case ParamRole::Weight:
      return "weight";
    case ParamRole::Bias:
      return "bias";
    case ParamRole::NormScale:
      return "norm_scale";
    case ParamRole::NormShift:
      return "norm_shift";
    case ParamRole::Coefficient:
      return "coefficient";
    case ParamRole::Basis:
      return "basis";
    case ParamRole::Score:
      return "score";
    case ParamRole::Other:
      return "other";
  }
  return "unknown";
}

ValueId ModelBuilder::input(const DataShape& data, std::int64_t batch, DType compute) {
  model_.input = model_.graph.input("images", {batch, data.height, data.width, data.channels});
  if (compute == DType::F32) return model_.input;
  return model_.graph.emit1("cast", {model_.input}, {{"dtype", std::string(name_of(compute))}}, "images.cast");
}

ValueId ModelBuilder::conv2d(ValueId x, const std::string& name, std::int64_t out_channels, std::int64_t kernel,
                             std::int64_t stride, std::int64_t pad, bool bias, std::int64_t groups) {
  const auto [w, b] = add_weights(name, {out_channels, shape(x)[3] / groups, kernel, kernel}, bias);
  return model_.graph.emit1("conv2d", {x, w, b}, {{"stride", stride}, {"pad", pad}, {"groups", groups}}, name);
}

ValueId ModelBuilder::linear(ValueId x, const std::string& name, std::int64_t out_features, bool bias) {
  const auto [w, b] = add_weights(name, {out_features, shape(x)[1]}, bias);
  return model_.graph.emit1("linear", {x, w, b}, {}, name);
}

std::pair<ValueId, ValueId> ModelBuilder::add_weights(const std::string& layer, const Shape& shape, bool bias) {
  ParamSpec weight{.name = layer + ".weight", .shape = shape, .init = weight_init_, .prunable = true};
  weight.layer = layer;
  weight.layer_shape = shape;
  set_fans(weight.init, shape);
  ParamSpec shift{.name = layer + ".bias", .shape = {shape[0]}, .role = ParamRole::Bias, .init = bias_init_};
  shift.layer = layer;
  shift.layer_shape = shape;
  // PyTorch draws a bias with the fan of the weight it belongs to.
  set_fans(shift.init, shape);
  const ValueId w = model_.param(param(std::move(weight))).value;
  return {w, bias ? model_.param(param(std::move(shift))).value : kNoValue};
}

ValueId ModelBuilder::batch_norm(ValueId x, const std::string& name, bool affine, double scale) {
  const Shape channels{shape(x)[-1]};
  ValueId gamma = kNoValue, beta = kNoValue;
  if (affine) std::tie(gamma, beta) = add_affine(name, channels, scale);
  const ValueId mean = buffer(name + ".running_mean", channels, 0), var = buffer(name + ".running_var", channels, 1);
  return model_.graph.emit1(
      "batch_norm", {x, gamma, beta, mean, var, kNoValue},
      {{"eps", kNormEps}, {"momentum", kNormMomentum}, {"running", std::int64_t{0}}, {"relu", std::int64_t{0}}}, name);
}

ValueId ModelBuilder::layer_norm(ValueId x, const std::string& name, double eps) {
  const auto [gamma, beta] = add_affine(name, {shape(x)[-1]}, 1);
  return model_.graph.emit1("layer_norm", {x, gamma, beta}, {{"eps", eps}}, name);
}

std::pair<ValueId, ValueId> ModelBuilder::add_affine(const std::string& layer, const Shape& channels, double scale) {
  const auto leaf = [&](const char* suffix, ParamRole role, double start) {
    const ParamId id = param({.name = layer + suffix,
                              .shape = channels,
                              .role = role,
                              .init = {InitSpec::Kind::Constant, start},
                              .layer = layer,
                              .layer_shape = channels});
    return model_.param(id).value;
  };
  const ValueId gamma = leaf(".weight", ParamRole::NormScale, scale);
  return {gamma, leaf(".bias", ParamRole::NormShift, 0)};
}

ValueId ModelBuilder::op(std::string_view op, std::vector<ValueId> in, const std::string& name, Attrs attrs) {
  return model_.graph.emit1(op, std::move(in), std::move(attrs), name);
}

ValueId ModelBuilder::relu(ValueId x, const std::string& name) { return op("relu", {x}, name); }

ValueId ModelBuilder::add(ValueId a, ValueId b, const std::string& name) { return op("add", {a, b}, name); }

ValueId ModelBuilder::max_pool(ValueId x, const std::string& name, std::int64_t kernel, std::int64_t stride,
                               std::int64_t pad) {
  return model_.graph.emit1("max_pool2d", {x}, {{"kernel", kernel}, {"stride", stride}, {"pad", pad}}, name);
}

ValueId ModelBuilder::avg_pool(ValueId x, const std::string& name, std::int64_t kernel, std::int64_t stride) {
  return model_.graph.emit1("avg_pool2d", {x}, {{"kernel", kernel}, {"stride", stride}, {"pad", std::int64_t{0}}},
                            name);
}

ValueId ModelBuilder::global_avg_pool(ValueId x, const std::string& name) {
  return model_.graph.emit1("global_avg_pool", {x}, {}, name);
}

ValueId ModelBuilder::flatten(ValueId x, const std::string& name) {
  return model_.graph.emit1("flatten", {x}, {}, name);
}

ValueId ModelBuilder::dropout(ValueId x, const std::string& name, double p) {
  return p == 0 ? x : model_.graph.emit1("dropout", {x}, {{"p", p}}, name);
}

void ModelBuilder::region(const std::string& kind, const std::string& name, int stage, int block, ValueId in,
                          ValueId out) {
  model_.regions.push_back({kind, name, stage, block, in, out});
}

ParamId ModelBuilder::param(ParamSpec spec) {
  const auto same = [&](const ParamSpec& other) { return other.name == spec.name; };
  if (std::any_of(model_.params.begin(), model_.params.end(), same)) {
    fail(ErrorKind::Internal, "model '{}' has two parameters named '{}'", model_.name, spec.name);
  }
  spec.value = model_.graph.input(spec.name, spec.shape);
  model_.params.push_back(std::move(spec));
  return ParamId(model_.params.size() - 1);
}

ValueId ModelBuilder::buffer(const std::string& name, const Shape& shape, double initial, bool stored) {
  const auto same = [&](const BufferSpec& other) { return other.name == name; };
  if (std::any_of(model_.buffers.begin(), model_.buffers.end(), same)) {
    fail(ErrorKind::Internal, "model '{}' has two buffers named '{}'", model_.name, name);
  }
  model_.buffers.push_back({name, shape, initial, model_.graph.input(name, shape), stored});
  return model_.buffers.back().value;
}

}  // namespace winnow
