// What an op is: shape rule, reverse rule, cost, kernels and the examples the conformance suite
// tests it on. One file in core/ops/ defines one op (family) and one line in core/ops/ops.def lists it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/graph.h"
#include "core/tensor.h"
#include "kernels/exec.h"

namespace winnow {

struct KernelCall {
  std::span<const TensorView> in;  // an absent optional input has data == nullptr
  std::span<const TensorView> out;
  const Exec& exec;  // with scratch_bytes() bytes of scratch, shared by all nodes of a program
};

class Kernel;
struct NodeCall {
  Kernel& kernel;
  KernelCall call;
};

// One node of a compiled program, on the device it was made for. Owns vendor primitives and packed
// copies; run() never allocates. What changes from run to run it reads through exec.run as it runs.
class Kernel {
 public:
  virtual ~Kernel() = default;
  virtual std::size_t scratch_bytes() const { return 0; }
  virtual void run(const KernelCall& call) = 0;
  // On a device: whether nodes of this op that follow each other are run by one call of run_together(), where none reads what
  // another one computes.
  virtual bool runs_together() const { return false; }
  // The kernels of all these nodes, this one first.
  virtual void run_together(std::span<const NodeCall> nodes) {
    for (const NodeCall& node : nodes) node.kernel.run(node.call);
  }
  // On the host: throws Error{Input} for what a run found wrong with this node's input and marked in the status.
  virtual void check(const RunStatus&) const {}
};

// What a kernel may know when it is made. The values of real attributes are not among it: they may be others at each run.
struct KernelSpec {
  const Node& node;
  std::span<const ValueInfo> in, out;
  int threads;  // of the CPU
  const double* reals;
  Device device = Device::Cpu;
  // Where a real attribute lies as the kernel runs.
  const double* real(std::string_view name) const { return reals + node.attrs.real_position(name); }
};
using KernelMaker = std::function<std::unique_ptr<Kernel>(const KernelSpec&)>;

// How an op is computed, by device.
struct KernelTable {
  KernelMaker any = {};  // one definition for every device: for_each, for_rows and fold_rows alone
  KernelMaker cpu = {}, cuda = {};
  const KernelMaker& on(Device device) const {
    const KernelMaker& own = device == Device::Cpu ? cpu : cuda;
    return own ? own : any;
  }
};

// One node in double precision on the host. Absent inputs are nullptr; indices are whole numbers.
struct DoubleCall {
  const Node& node;
  std::span<const ValueInfo> in_info, out_info;
  std::span<const double* const> in;
  std::span<double* const> out;  // filled with zeros
  int threads;
};
using DoubleOp = void (*)(const DoubleCall&);

// A kernel without state: a plain function.
KernelMaker plain_kernel(void (*run)(const KernelSpec&, const KernelCall&));

// Handed to a reverse rule: reads the gradients of the node's outputs, adds those of its inputs.
class Reverse {
 public:
  virtual ~Reverse() = default;
  virtual Graph& graph() = 0;
  virtual const Node& node() const = 0;
  virtual ValueId out_grad(std::size_t i) const = 0;  // kNoValue: nothing depends on output i
  virtual bool wants(std::size_t i) const = 0;        // is the gradient of input i needed at all
  virtual void add(std::size_t i, ValueId grad) = 0;  // contribution to the gradient of input i
};

// Handed to a channel rule: says which entries of the node's values live and die together. An entry is one index of one
// dimension of one value; a negative dimension counts from the last.
class ChannelTies {
 public:
  virtual ~ChannelTies() = default;
  virtual const Node& node() const = 0;
  virtual const Shape& shape(ValueId value) const = 0;
  virtual void tie(ValueId a, int dim_a, std::int64_t index_a, ValueId b, int dim_b, std::int64_t index_b) = 0;
  // Entries of this dimension always stay: the result would not be the same function of the others.
  virtual void keep(ValueId value, int dim) = 0;

  void tie_dims(ValueId a, int dim_a, ValueId b, int dim_b);  // index by index; kNoValue: nothing
};

// Which entries of a dimension are left, in order; shapes are those before.
class KeptEntries {
 public:
  virtual ~KeptEntries() = default;
  virtual const Shape& shape(ValueId value) const = 0;
  virtual std::vector<std::int64_t> kept(ValueId value, int dim) const = 0;
};

// How channels are removed around a node (core/channel_groups.h). A removed channel is zero everywhere, so an op that
// makes something else of a zero has no rule.
struct ChannelRule {
  std::function<void(ChannelTies&)> tie = {};  // absent: the op has no rule
  // Attributes that count channels, for what is left.
  std::function<void(const KeptEntries&, const Node&, Attrs&)> resize = {};
};
// Rules of many ops. `every_dim_alike`: inputs and output 0 have one shape. `last_dim_alike`: they have the same channels.
ChannelRule every_dim_alike();
ChannelRule last_dim_alike();

// One case of the conformance suite: finite differences (if the op has a reverse rule), f32 against
// bf16, thread counts.
struct OpExample {
  std::string label;
  std::vector<ValueInfo> in;
  Attrs attrs = {};
  enum class Gradient : std::uint8_t { Exact, Surrogate, None } gradient = Gradient::Exact;
  std::vector<std::size_t> differentiable = {};  // inputs to check; empty: all f32 inputs
  double tolerance = 2e-3;                       // relative, for finite differences in f32
  double low = -1, high = 1;                     // range of the random inputs
  bool bf16 = true;                              // the op also takes bf16 activations (its 2-D and 4-D input 0)
};

// What an op is in a network, for methods and analyses that look for a kind of node. Layer: a linear map of activations
// (input 0) by a weight (input 1). Activation: entry by entry, without parameters.
enum class OpRole : std::uint8_t { Other, Layer, Norm, Activation };

struct OpDef {
  std::string name;
  DoubleOp in_double =
      nullptr;  // for scores that choose masks (core/double_program.h); absent: no probe in double meets it
  OpRole role = OpRole::Other;
  // Throws Error with the reason alone; Graph::emit adds the node's name and the input shapes.
  std::function<std::vector<ValueInfo>(std::span<const ValueInfo> in, const Attrs&)> infer;
  Attrs defaults = {};                         // of attributes that a node need not give
  std::function<void(Reverse&)> reverse = {};  // absent: no gradient flows through
  std::function<std::int64_t(std::span<const ValueInfo> in, std::span<const ValueInfo> out, const Attrs&)> macs = {};
  // Of derivations of weights: output 0 is made entry by entry from this input and zero where that
  // is; -1: of none. And how many of its entries may differ from zero; absent: all.
  int keeps_zeros_of = -1;
  std::function<std::int64_t(const ValueInfo& out, const Attrs&)> most_nonzero = {};
  // Of derivations: entries of output 0 can be zero where those of the inputs are not, as training has it (a threshold
  // that is trained). Only values tell how many.
  bool makes_zeros = false;
  KernelTable kernel = {};
  int inplace = -1;  // this input's memory may become output 0's when nothing else reads it later
  // A row of the outputs depends on other rows of the batch, unless the attribute `running` is 1 (batch norm).
  bool mixes_examples = false;
  bool train_only = false;  // outside training the node is the identity on input 0 (dropout of all kinds)
  ChannelRule channels = {};
  // Of an op that with attribute `sums` gives the sums of output 0 and of its square by channel: does the kernel for this
  // device have them while it writes output 0, so that they cost no pass over it? Absent: the op gives none.
  std::function<bool(const KernelSpec&)> sums_come_along = {};
  std::vector<OpExample> examples = {};
};

void define_op(OpDef op);                     // twice the same name: Error{Internal}
const OpDef& find_op(std::string_view name);  // unknown: Error{Internal}
std::vector<std::string> op_names();
void define_all_ops();  // core/ops/registry.cpp; runs once, before the first lookup

// For shape rules: fails with `reason` unless `holds`.
void require(bool holds, const std::string& reason);

}  // namespace winnow
