// All learnable state of one trial: parameter values, gradients, optimiser slots, masks and
// buffers. Owns the memory that programs bind. Not synchronised. The invariants of masks hold after
// every call: an entry with Keep 0 is zero and so are its optimiser slots; an entry with Trainable 0 has zero slots. Slots
// that several entries share are the optimiser's own matter.
//
// Whoever acts at an event reads weight() and writes change(), which marks the parameter, so that a
// device with a copy of its own knows what to fetch. The bytes of masks here are the authority on
// every device. Programs, the reducer and the optimiser work on the memory itself (..._memory()).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/channel_groups.h"
#include "core/graph_editor.h"
#include "core/model.h"
#include "core/slot_shapes.h"
#include "core/state.h"
#include "core/tensor.h"

namespace winnow {

// Which copy of a parameter has the newest values: this store's, a device's, or both alike.
enum class Newest : std::uint8_t { Both, Host, Device };

class ParamStore {
 public:
  // `slots`: of every trainable parameter.
  ParamStore(const Model& model, const SlotShapes& slots);
  // Starts anew for another trial, all zero and without masks, in the same memory, so that programs stay bound to it.
  // False, and nothing is changed, if the model has parameters of other names, shapes or kinds.
  bool restart(const Model& model, const SlotShapes& slots);

  // Draws every parameter from its InitSpec, keyed by (seed, name); buffers get their initial value, slots zero.
  void initialise(std::uint64_t init_seed);
  // Draws one parameter anew under another seed; seeded() names that seed from then on.
  void redraw(ParamId, std::uint64_t seed);
  SeededInit seeded(ParamId) const;  // what regenerates the initial values

  std::size_t size() const { return params_.size(); }
  std::span<const ParamSpec> specs() const { return specs_; }
  std::span<const BufferSpec> buffer_specs() const { return buffer_specs_; }
  int slot_count(ParamId id) const { return static_cast<int>(at(id).slots.size()); }
  Shape slot_shape(ParamId id, int i) const { return at(id).slots.at(static_cast<std::size_t>(i)).view().shape; }
  std::size_t buffer_count() const { return buffers_.size(); }

  // Error{Internal} while a device has newer values of the parameter.
  std::span<const float> weight(ParamId id) const { return on_host(id).weight.span<float>(); }
  std::span<float> change(ParamId id);  // newest(id) is Host from then on
  std::span<const float> slot(ParamId id, int i) const {
    return on_host(id).slots.at(static_cast<std::size_t>(i)).span<float>();
  }
  std::span<float> change_slot(ParamId id, int i);
  std::span<const float> buffer(std::size_t i) const { return buffers_.at(i).span<float>(); }
  std::span<float> change_buffer(std::size_t i) {
    ++changes_;
    return buffers_.at(i).span<float>();
  }
  // Gradients after reduction, at an event that was declared to read them. Outside: Error{Internal} naming the event.
  std::span<const float> grad(ParamId id) const;
  std::span<float> change_grad(ParamId id);
  // The trainer says what is going on, in words for that error ("at PhaseEnd"), and whether gradients are to be seen.
  void enter_event(std::string event, bool gradients);
  bool gradients_visible() const { return gradients_visible_; }

  Newest newest(ParamId id) const { return at(id).newest; }
  // Said by whoever copied between host and device, or updated the parameter on the device.
  void set_newest(ParamId id, Newest newest) { at(id).newest = newest; }

  TensorView weight_memory(ParamId id) { return at(id).weight.view(); }
  TensorView grad_memory(ParamId id) { return at(id).grad.view(); }
  TensorView slot_memory(ParamId id, int i) { return at(id).slots.at(static_cast<std::size_t>(i)).view(); }
  TensorView buffer_memory(std::size_t i) { return buffers_.at(i).view(); }

  // One byte a weight; empty: no such mask, every entry is kept or trained.
  std::span<const std::uint8_t> mask(ParamId, MaskKind) const;
  // Sets a mask and restores the invariants: dropped entries and their slots become 0; newly kept
  // entries start at 0 with zero slots; entries that stay keep value and slots.
  void replace_mask(ParamId, MaskKind, std::span<const std::uint8_t> bits);
  std::int64_t count(ParamId, MaskKind) const;               // ones of the mask; numel without one
  std::int64_t live(ParamId) const;                          // entries whose gradient is used: Keep and Trainable
  std::uint64_t mask_digest() const;                         // equal on all ranks, or something is wrong
  std::uint64_t mask_revision() const { return revision_; }  // grows with every replace_mask
  // Grows when the host changes weights, masks or buffers, not with the updates of training.
  std::uint64_t changes() const { return changes_; }

  // The parameters and buffers become those of `model`, the same network with fewer channels: of values, slots, masks and
  // statistics what `cut` leaves stays as it is. In new memory, so that programs of the old one are of no use any more.
  void gather(const Model& model, const ChannelCut& cut);

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
    Newest newest = Newest::Host;
  };
  State& at(ParamId id) { return params_.at(static_cast<std::size_t>(id)); }
  const State& at(ParamId id) const { return params_.at(static_cast<std::size_t>(id)); }
  const State& on_host(ParamId id) const;
  void require_gradients(ParamId id) const;
  static void enforce(State&);
  static void forget(State&, std::size_t entry);  // its slots become zero
  std::vector<ParamSpec> specs_;
  std::vector<BufferSpec> buffer_specs_;
  std::vector<State> params_;
  std::vector<Tensor> buffers_;
  std::uint64_t revision_ = 0, changes_ = 0;
  std::string event_ = "before training";
  bool gradients_visible_ = false;
};

}  // namespace winnow
