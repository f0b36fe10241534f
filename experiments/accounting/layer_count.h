// What the layers of a network compute and hold: the counts that density, multiply-adds and
// training cost of all methods are made from. Pure functions of a graph, a parameter store and the weights in use.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/method.h"
#include "experiments/accounting/entry_counts.h"

namespace winnow {

// One convolution or linear node and the weight it reads.
struct LayerCount {
  std::string name;                      // of the node: "stage1.block0.conv1"
  std::string kind;                      // "conv2d" or "linear"
  ValueId weight = kNoValue;             // effective weight
  std::vector<ParamId> leaves = {};      // the parameters it is, or is derived from
  bool derived = false;                  // not a leaf itself
  bool prunable = false;                 // some leaf belongs to the prunable set
  std::optional<ParamId> zeros_of = {};  // derived entry by entry: zero wherever this leaf is
  bool makes_zeros = false;              // its derivation sets entries to zero that no leaf has zero
  bool dense_gradient = false;           // what it is derived from takes the gradient of every entry
  bool reversed = true;                  // a parameter that does not rest lies at or before it (mark_reversed)
  bool rests = false;                    // all parameters of its weight do
  std::int64_t numel = 0;                // of the effective weight
  std::int64_t most_nonzero = 0;         // numel, or less if its derivation drops entries
  std::int64_t macs = 0;                 // per example, dense
  std::int64_t kept = 0;                 // entries of the prunable leaves by their Keep masks
  std::int64_t trained = 0;              // entries of the leaves that training updates
  std::int64_t nonzero = 0;              // of the effective weight
  double density() const { return numel == 0 ? 0 : static_cast<double>(nonzero) / static_cast<double>(numel); }
  double macs_sparse() const { return static_cast<double>(macs) * density(); }
};

// The layers in graph order as if dense: everything kept, trained and non-zero. The batch of `model` does not matter.
std::vector<LayerCount> count_layers(const Model& model);

// Fills kept and trained from `entries` of the parameters `specs`. A weight that is a leaf, or is derived from one
// entry by entry, counts as non-zero where that is kept, which is what training computes with, and any other derived
// one as dense.
void measure(std::vector<LayerCount>& layers, std::span<const ParamSpec> specs, const EntryCounts& entries);
// The same, with the non-zero values of TrainState::effective_weights().
void measure(std::vector<LayerCount>& layers, std::span<const ParamSpec> specs, const EntryCounts& entries,
             std::span<const TrainState::LayerWeight> effective);

// The zeros that derivations make at these weights (OpDef::makes_zeros), for the cost of a step: entries that are cut off
// have no gradient either.
void measure_made_zeros(std::vector<LayerCount>& layers, std::span<const TrainState::LayerWeight> effective);

// Fills reversed and rests for steps at which these parameters of `model` rest. Its layers are those of `layers`.
void mark_reversed(std::vector<LayerCount>& layers, const Model& model, std::span<const ParamId> resting);

// Multiply-adds of one training step for one example.
// The three parts cost the same in a dense network, so that a dense step is 3 f; the gradient of
// the first layer's input, which is never needed, is counted with them as in the literature (RigL,
// F1 of the specification).
struct StepCost {
  double forward = 0, grad_activation = 0, grad_weight = 0;
  double total() const { return forward + grad_activation + grad_weight; }
};
// What lies before the first parameter that does not rest is computed forward only.
// Forward and activation gradient by the non-zero share, weight gradient by the share that is
// trained. With `dense_gradients` (steps at which a method asks for them) the weight gradient is
// that of all entries: 2 f_S + f_D.
StepCost step_cost(std::span<const LayerCount> layers, bool dense_gradients = false);

double macs_dense(std::span<const LayerCount> layers);
// Multiply-adds of one image where activations are multiplied with each other, as in attention: no layer and no weight, so
// no mask makes them fewer. A training step costs three times as much: each operand has a gradient.
double macs_of_products(const Model& model);
// Of a training step at which these parameters rest.
double macs_of_product_steps(const Model& model, std::span<const ParamId> resting);
double macs_sparse(std::span<const LayerCount> layers);

}  // namespace winnow
