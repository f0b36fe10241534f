// All learnable state of one trial: parameter values, gradients, optimiser slots, masks and
// buffers. Owns the memory that programs bind. Not synchronised. The invariants of masks hold after
// every call: an entry with Keep 0 is zero and so are its optimiser slots; an entry with Trainable 0 has zero slots. Slots
// that several entries share are the optimiser's own matter.
//
// On a device every tensor has a copy there and one here (core/mirrored.h): programs of the device bind its copy
// (..._memory()), whoever acts at an event reads weight() and writes change() here, and nothing is copied that nobody looks
// at. The bytes of masks here are the authority on every device.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/channel_groups.h"
#include "core/graph_editor.h"
#include "core/mask.h"
#include "core/mirrored.h"
#include "core/model.h"
#include "core/slot_shapes.h"
#include "core/state.h"
#include "core/tensor.h"

namespace winnow {

class ParamStore {
 public:
  // `slots`: of every trainable parameter. `stream`: of the device that trains it; without one it is the CPU.
  ParamStore(const Model& model, const SlotShapes& slots, std::shared_ptr<DeviceStream> stream = nullptr);
  // Starts anew for another trial, all zero and without masks, in the same memory, so that programs stay bound to it.
  // False, and nothing is changed, if the model has parameters of other names, shapes or kinds.
  bool restart(const Model& model, const SlotShapes& slots);

  // Draws every parameter from its InitSpec, keyed by (seed, name); buffers get their initial value, slots zero. On a device
  // all of it is made there.
  void initialise(std::uint64_t init_seed);
  // Draws one parameter anew under another seed; seeded() names that seed from then on. Both draw where the parameters live: what
  // weight() and change() gave before is out of date.
  void redraw(ParamId, std::uint64_t seed);
  SeededInit seeded(ParamId) const;  // what regenerates the initial values

  std::size_t size() const { return params_.size(); }
  std::span<const ParamSpec> specs() const { return specs_; }
  std::span<const BufferSpec> buffer_specs() const { return buffer_specs_; }
  int slot_count(ParamId id) const { return static_cast<int>(at(id).slots.size()); }
  Shape slot_shape(ParamId id, int i) const { return at(id).slots.at(static_cast<std::size_t>(i)).shape(); }
  std::size_t buffer_count() const { return buffers_.size(); }

  std::span<const float> weight(ParamId id) const { return at(id).weight.read(); }
  std::span<float> change(ParamId id);
  std::span<const float> slot(ParamId id, int i) const { return at(id).slots.at(static_cast<std::size_t>(i)).read(); }
  std::span<float> change_slot(ParamId id, int i);
  std::span<const float> buffer(std::size_t i) const { return buffers_.at(i).read(); }
  std::span<float> change_buffer(std::size_t i) {
    ++changes_;
    return buffers_.at(i).change();
  }
  // Gradients after reduction, at an event that was declared to read them. Outside: Error{Internal} naming the event.
  std::span<const float> grad(ParamId id) const;
  std::span<float> change_grad(ParamId id);
  // The trainer says what is going on, in words for that error ("at PhaseEnd"), and whether gradients are to be seen.
  void enter_event(std::string event, bool gradients);
  bool gradients_visible() const { return gradients_visible_; }

  // For programs, on the device that trains.
  TensorView weight_memory(ParamId id) const { return at(id).weight.memory(); }
  TensorView grad_memory(ParamId id) const { return at(id).grad.memory(); }
  TensorView slot_memory(ParamId id, int i) const { return at(id).slots.at(static_cast<std::size_t>(i)).memory(); }
  TensorView buffer_memory(std::size_t i) const { return buffers_.at(i).memory(); }
  void* mask_memory(ParamId id, MaskKind kind) const { return mask_of(at(id), kind).memory(); }  // null: no mask
  // Takes the device's memory of masks of all trained parameters, which send() takes else. Gives its bytes.
  std::size_t reserve_masks();
  // Said by whoever runs them: before a run the device gets what changed here, and what the run writes is the device's from
  // then on.
  void send();
  void gradients_written();  // gradients, and running statistics
  void update_written();     // weights, slots, and buffers that an update leaves

  // For whoever sums gradients over ranks: this rank's own, at any time.
  std::span<const float> own_gradient(ParamId id) const { return at(id).grad.read(); }
  std::span<float> change_own_gradient(ParamId id) { return at(id).grad.change(); }
  void zero_gradient(ParamId id);

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
    Mirrored weight, grad;
    std::vector<Mirrored> slots;
    Mask keep, train;
    std::uint64_t init_seed = 0;
  };
  static const Mask& mask_of(const State& state, MaskKind kind) {
    return kind == MaskKind::Keep ? state.keep : state.train;
  }
  State& at(ParamId id) { return params_.at(static_cast<std::size_t>(id)); }
  const State& at(ParamId id) const { return params_.at(static_cast<std::size_t>(id)); }
  void require_gradients(ParamId id) const;
  void put_mask(ParamId id, MaskKind kind, std::vector<std::uint8_t> bits);
  static void enforce(State&);
  void draw(const InitSpec&, const RngKey&, Mirrored& to) const;
  std::shared_ptr<DeviceStream> stream_;
  std::vector<ParamSpec> specs_;
  std::vector<BufferSpec> buffer_specs_;
  std::vector<State> params_;
  std::vector<Mirrored> buffers_;
  std::uint64_t revision_ = 0, changes_ = 0;
  std::string event_ = "before training";
  bool gradients_visible_ = false;
};

}  // namespace winnow
