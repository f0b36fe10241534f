// Graph to graph: what turns the graph of a model and its methods into one that runs fast. Applied
// after all edits and before differentiate(), but where one says otherwise. Pure functions of the graph; the same result on every rank.
#pragma once

#include "core/graph.h"
#include "kernels/exec.h"

namespace winnow {

// How batch norm gets its mean and variance: from the batch, or from the running statistics
// (evaluation; the official SNIP scores; SynFlow).
enum class NormStatistics : std::uint8_t { Batch, Running };

// Writes attribute "running" into every batch_norm node.
void set_norm_statistics(Graph& graph, NormStatistics statistics);

// Writes attribute "momentum", the weight of a batch in the running statistics, into every batch_norm node.
void set_norm_momentum(Graph& graph, double momentum);

// Nodes whose op is train_only become the identity: their readers read their first input. `outputs` are mapped too.
void drop_train_only(Graph& graph, std::span<ValueId> outputs);

// batch_norm -> (add) -> relu, each with one reader, becomes one batch_norm node with attribute
// "relu" and input `residual`; flops and results stay, two passes over memory go.
void fuse_norm(Graph& graph, std::span<const ValueId> outputs);

// For devices, after fuse_norm: where a batch norm that takes its statistics from the batch is the only reader of a layer whose
// kernel has the sums for them as it writes, it takes those (attribute `sums` of the layer, last input of the batch norm) and
// does not read its input twice. Everything else stays as it is.
struct FusedStatistics {
  int fused = 0, norms = 0;  // of `norms` that take statistics from the batch
};
FusedStatistics fuse_statistics(Graph& graph, std::span<const ValueId> outputs, Device device);

// After differentiate(), for devices: an `add` whose sum only the gradient of a batch norm reads, or which alone reads what that
// gives, becomes an input of it. Results stay bit for bit, two passes over memory go. No node changes its place.
void fuse_gradient_sums(Graph& graph, std::span<const ValueId> outputs);

// After differentiate(), for devices: a relu that alone reads a conv2d with bias becomes its attribute "relu", so that bias and ReLU
// are one pass behind the product. Bits stay as they are where the bias was a pass of its own, as for layers of cuDNN. Not where a
// library adds the bias: 1x1 kernels and linear layers.
void fuse_relu(Graph& graph, std::span<const ValueId> outputs);

}  // namespace winnow
