// For the conformance suite: one op example set up as a graph with memory, a random linear
// functional of its outputs and the gradient of that functional.
#pragma once

#include <ostream>
#include <string>
#include <vector>

#include "core/op.h"
#include "core/program.h"
#include "core/tensor.h"

namespace winnow::test {

// One example of one op; what parametrises the suite.
struct OpCase {
  std::string op;
  std::size_t index;
  const OpExample& example() const { return find_op(op).examples[index]; }
};
std::ostream& operator<<(std::ostream& stream, const OpCase& op_case);
std::vector<OpCase> all_op_cases();

enum class Variant : std::uint8_t { Plain, Rounded, Bf16 };  // Rounded: f32 holding the values of Bf16

class OpTrial {
 public:
  // Inputs are a pure function of the op, the example and the position. `rows` multiplies the
  // leading extent of input 0 and of the inputs that share it. Throws Error if the op does not take such inputs.
  OpTrial(const OpCase& op_case, Variant variant = Variant::Plain, std::int64_t rows = 1);
  // Of an example that is not the op's own; it must outlive the trial.
  OpTrial(const std::string& op, const OpExample& example, Variant variant = Variant::Plain, std::int64_t rows = 1);

  const Node& node() const { return graph_.nodes()[node_]; }
  Graph& graph() { return graph_; }
  Tensor& input(std::size_t i);
  std::size_t input_count() const { return inputs_.size(); }
  std::vector<std::size_t> differentiable() const;
  bool has_gradient() const { return example_.gradient != OpExample::Gradient::None; }
  // Emits functional and reverse pass. False: no gradient reaches any of the differentiable inputs.
  bool differentiate_functional();
  ValueId gradient(std::size_t i) const;  // of input i, or kNoValue

  // On a device the inputs are copied to it here.
  Program compile(std::vector<ValueId> values, RunContext context) const;
  // Output values the functional reads, and its value in double from a program that has run.
  std::vector<ValueId> functional_outputs() const;
  double functional(const Program& program, double* magnitude = nullptr) const;

 private:
  bool carries_gradient(std::size_t output) const;
  void fill() const;

  const std::string op_;
  const OpExample& example_;
  Graph graph_;
  NodeId node_ = 0;
  std::vector<ValueId> leaves_, weights_, gradients_;
  std::vector<std::size_t> weighted_;  // outputs the functional reads
  std::vector<char> rounded_;          // by input
  // Random numbers from when they are looked at: which cases there are is asked at the start of every process.
  mutable bool filled_ = false;
  mutable std::vector<Tensor> inputs_, weight_tensors_;
};

// Elements of a float tensor as double, and of any; none where there is no memory.
std::vector<double> values_of(const TensorView& view);
std::vector<double> numbers_of(const TensorView& view);

}  // namespace winnow::test
