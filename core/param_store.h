// All learnable state of one trial: parameter values, gradients, optimiser slots, masks and
// buffers. Owns the memory that programs bind. Not synchronised. The invariants of masks hold after
// every call: an entry with Keep 0 is zero and so are its optimiser slots; an entry with Trainable 0 has zero slots.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/graph_editor.h"
#include "core/model.h"
#include "core/state.h"
#include "core/tensor.h"

namespace winnow {

class ParamStore {
 public:
  // `slots`: optimiser state tensors of a trainable parameter (SGD 1, Adam 2).
  ParamStore(const Model& model, int slots);

  // Draws every parameter from its InitSpec, keyed by (seed, name); buffers get their initial value, slots zero.
  void initialise(std::uint64_t init_seed);
  // Draws one parameter anew under another seed; seeded() names that seed from then on.
  void redraw(ParamId, std::uint64_t seed);
  SeededInit seeded(ParamId) const;  // what regenerates the initial values

  std::size_t size() const { return params_.size(); }
  std::span<const ParamSpec> specs() const { return specs_; }
  std::span<float> weight(ParamId id) { return at(id).weight.span<float>(); }
  std::span<const float> weight(ParamId id) const { return at(id).weight.span<float>(); }
  std::span<float> grad(ParamId id) { return at(id).grad.span<float>(); }
  std::span<float> slot(ParamId id, int i) { return at(id).slots.at(static_cast<std::size_t>(i)).span<float>(); }
  int slot_count(ParamId id) const { return static_cast<int>(at(id).slots.size()); }
  std::span<float> buffer(std::size_t i) { return buffers_.at(i).span<float>(); }
  std::size_t buffer_count() const { return buffers_.size(); }

  // One byte a weight; empty: no such mask, every entry is kept or trained.
  std::span<const std::uint8_t> mask(ParamId, MaskKind) const;
  // Sets a mask and restores the invariants: dropped entries and their slots become 0; newly kept
  // entries start at 0 with zero slots; entries that stay keep value and slots.
  void replace_mask(ParamId, MaskKind, std::span<const std::uint8_t> bits);
  std::int64_t count(ParamId, MaskKind) const;               // ones of the mask; numel without one
  std::int64_t live(ParamId) const;                          // entries whose gradient is used: Keep and Trainable
  std::uint64_t mask_digest() const;                         // equal on all ranks, or something is wrong
  std::uint64_t mask_revision() const { return revision_; }  // grows with every replace_mask

  void reset_slots();
  void save(StateWriter&, bool with_slots = true, bool with_masks = true) const;
  void load(StateReader&, bool with_slots = true, bool with_masks = true);
  std::size_t bytes() const;

 private:
  struct State {
    Tensor weight, grad;
    std::vector<Tensor> slots;
    std::vector<std::uint8_t> keep, train;
    std::uint64_t init_seed = 0;
  };
  State& at(ParamId id) { return params_.at(static_cast<std::size_t>(id)); }
  const State& at(ParamId id) const { return params_.at(static_cast<std::size_t>(id)); }
  void enforce(State&);
  std::vector<ParamSpec> specs_;
  std::vector<BufferSpec> buffer_specs_;
  std::vector<State> params_;
  std::vector<Tensor> buffers_;
  std::uint64_t revision_ = 0;
};

}  // namespace winnow
