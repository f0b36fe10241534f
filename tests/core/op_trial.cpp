#include "tests/core/op_trial.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/autodiff.h"
#include "core/error.h"
#include "kernels/rng.h"

namespace winnow::test {
namespace {

bool is_float(DType type) { return type == DType::F32 || type == DType::BF16; }

float stored(float value, bool rounded) { return rounded ? to_float(from_float<bf16>(value)) : value; }

// Labels {N} lie below 3, so an example needs three classes. An index tensor {N, k} holds k
// different numbers a row, ascending and below k + 1.
std::int32_t index_at(const Shape& shape, const RngKey& key, std::int64_t i) {
  if (shape.rank() < 2) return static_cast<std::int32_t>(below(key, static_cast<std::uint64_t>(i), 3));
  return static_cast<std::int32_t>(i % shape[-1] + i / shape[-1] % 2);
}

void fill_randomly(Tensor& tensor, const std::string& stream, double low, double high, bool rounded) {
  const RngKey key{20, stream_id(stream), 0};
  for (std::int64_t i = 0; i < tensor.numel(); ++i) {
    const auto at = static_cast<std::uint64_t>(i);
    const auto value = static_cast<float>(low + (high - low) * static_cast<double>(uniform_at(key, at)));
    switch (tensor.view().dtype) {
      case DType::F32:
        tensor.as<float>()[i] = stored(value, rounded);
        break;
      case DType::BF16:
        tensor.as<bf16>()[i] = from_float<bf16>(value);
        break;
      case DType::I32:
        tensor.as<std::int32_t>()[i] = index_at(tensor.view().shape, key, i);
        break;
      case DType::U8:
        tensor.as<std::uint8_t>()[i] = static_cast<std::uint8_t>(below(key, at, 2));
        break;
    }
  }
}

std::vector<ValueInfo> enlarged(std::vector<ValueInfo> in, std::int64_t rows) {
  if (rows == 1 || in.empty() || in[0].shape.rank() == 0) return in;
  const std::int64_t lead = in[0].shape[0];
  for (ValueInfo& info : in) {
    std::vector<std::int64_t> extents(info.shape.begin(), info.shape.end());
    if (extents.empty() || extents[0] != lead) continue;
    extents[0] *= rows;
    info.shape = Shape(extents);
  }
  return in;
}

bool is_activation_like(const ValueInfo& info, const ValueInfo& first) {
  return info.dtype == DType::F32 && info.shape.rank() == first.shape.rank() && info.shape[0] == first.shape[0];
}

}  // namespace

std::ostream& operator<<(std::ostream& stream, const OpCase& op_case) {
  return stream << op_case.op << ", example '" << op_case.example().label << "'";
}

std::vector<OpCase> all_op_cases() {
  std::vector<OpCase> cases;
  for (const std::string& op : op_names()) {
    for (std::size_t i = 0; i < find_op(op).examples.size(); ++i) cases.push_back({op, i});
  }
  return cases;
}

std::vector<double> values_of(const TensorView& view) {
  std::vector<double> values;
  for (std::int64_t i = 0; i < view.numel(); ++i) {
    values.push_back(view.dtype == DType::BF16 ? to_float(view.as<bf16>()[i]) : view.as<float>()[i]);
  }
  return values;
}

std::vector<double> numbers_of(const TensorView& view) {
  if (view.data == nullptr) return {};
  if (is_float(view.dtype)) return values_of(view);
  std::vector<double> values;
  for (std::int64_t i = 0; i < view.numel(); ++i) {
    values.push_back(view.dtype == DType::I32 ? view.as<std::int32_t>()[i] : view.as<std::uint8_t>()[i]);
  }
  return values;
}

OpTrial::OpTrial(const OpCase& op_case, Variant variant, std::int64_t rows)
    : OpTrial(op_case.op, op_case.example(), variant, rows) {}

OpTrial::OpTrial(const std::string& op, const OpExample& example, Variant variant, std::int64_t rows)
    : op_(op), example_(example) {
  std::vector<ValueInfo> infos = enlarged(example_.in, rows);
  const OpDef& def = find_op(op);
  // The activations of the op: input 0 and, if the op asks for one type, the inputs like it.
  std::vector<char>& activation = rounded_;
  activation.assign(infos.size(), 0);
  if (variant != Variant::Plain) {
    std::vector<ValueInfo> narrow = infos;
    for (std::size_t i = 0; i < infos.size(); ++i) {
      if (i > 0 && !is_activation_like(infos[i], infos[0])) continue;
      activation[i] = 1;
      narrow[i].dtype = DType::BF16;
      if (i > 0) continue;
      try {
        def.infer(narrow, example_.attrs);
        break;  // input 0 alone will do
      } catch (const Error&) {
      }
    }
    if (variant == Variant::Bf16) infos = narrow;
  }
  for (std::size_t i = 0; i < infos.size(); ++i) {
    leaves_.push_back(graph_.input(fmt::format("in{}", i), infos[i].shape, infos[i].dtype));
    inputs_.emplace_back(infos[i].dtype, infos[i].shape);
  }
  graph_.emit(op, leaves_, example_.attrs, "subject");
}

void OpTrial::fill() const {
  if (std::exchange(filled_, true)) return;
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    fill_randomly(inputs_[i], fmt::format("{}/{}/{}", op_, example_.label, i), example_.low, example_.high,
                  rounded_[i] != 0);
  }
}

Tensor& OpTrial::input(std::size_t i) {
  fill();
  return inputs_[i];
}

std::vector<std::size_t> OpTrial::differentiable() const {
  if (!example_.differentiable.empty()) return example_.differentiable;
  std::vector<std::size_t> all;
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    if (is_float(inputs_[i].view().dtype)) all.push_back(i);
  }
  return all;
}

// Whether a loss that reads this output alone has a gradient: outputs like saved statistics have none.
bool OpTrial::carries_gradient(std::size_t output) const {
  Graph graph = graph_;
  ValueId value = graph.nodes()[node_].out[output];
  if (!is_float(graph.value(value).dtype)) return false;
  const ValueId loss = graph.emit1("reduce_sum", {value}, {}, "probe");
  const std::vector<Gradient> gradients = differentiate(graph, loss, leaves_);
  return std::any_of(gradients.begin(), gradients.end(), [](const Gradient& g) { return g.grad != kNoValue; });
}

bool OpTrial::differentiate_functional() {
  ValueId loss = kNoValue;
  const std::vector<ValueId> outputs = node().out;
  for (std::size_t k = 0; k < outputs.size(); ++k) {
    if (!carries_gradient(k)) continue;
    const ValueInfo info = graph_.value(outputs[k]);
    weighted_.push_back(k);
    weights_.push_back(graph_.input(fmt::format("weight{}", k), info.shape));
    weight_tensors_.emplace_back(DType::F32, info.shape);
    ValueId y = outputs[k];
    if (info.dtype == DType::BF16) y = graph_.emit1("cast", {y}, {{"dtype", std::string("f32")}});
    const ValueId term = graph_.emit1("reduce_sum", {graph_.emit1("mul", {y, weights_.back()})});
    loss = loss == kNoValue ? term : graph_.emit1("add", {loss, term});
  }
  gradients_.assign(leaves_.size(), kNoValue);
  if (loss == kNoValue) return false;
  std::vector<ValueId> wanted;
  for (const std::size_t i : differentiable()) wanted.push_back(leaves_[i]);
  for (const Gradient& g : differentiate(graph_, loss, wanted)) {
    gradients_[static_cast<std::size_t>(std::find(leaves_.begin(), leaves_.end(), g.of) - leaves_.begin())] = g.grad;
  }
  return true;
}

ValueId OpTrial::gradient(std::size_t i) const { return gradients_.at(i); }

Program OpTrial::compile(std::vector<ValueId> values, RunContext context) const {
  fill();
  for (std::size_t k = 0; k < weighted_.size(); ++k) {
    fill_randomly(weight_tensors_[k], fmt::format("functional/{}", weighted_[k]), -1, 1, true);
  }
  std::vector<Binding> bindings;
  for (std::size_t i = 0; i < leaves_.size(); ++i) bindings.push_back({leaves_[i], inputs_[i].view().data});
  for (std::size_t i = 0; i < weights_.size(); ++i) bindings.push_back({weights_[i], weight_tensors_[i].view().data});
  Program program(graph_, values, bindings, context);
  for (const Binding& binding : bindings) program.feed(binding.value, binding.data);
  return program;
}

std::vector<ValueId> OpTrial::functional_outputs() const {
  std::vector<ValueId> outputs;
  for (const std::size_t k : weighted_) outputs.push_back(node().out[k]);
  return outputs;
}

double OpTrial::functional(const Program& program, double* magnitude) const {
  double sum = 0, squares = 0;
  for (std::size_t k = 0; k < weighted_.size(); ++k) {
    const std::vector<double> y = values_of(program.view(node().out[weighted_[k]]));
    for (std::size_t i = 0; i < y.size(); ++i) {
      const double term = y[i] * static_cast<double>(weight_tensors_[k].as<float>()[i]);
      sum += term;
      squares += term * term;
    }
  }
  if (magnitude != nullptr) *magnitude = std::sqrt(squares);
  return sum;
}

}  // namespace winnow::test
