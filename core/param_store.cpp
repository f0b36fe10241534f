#include "core/param_store.h"

#include <algorithm>
#include <utility>

#include "core/digest.h"
#include "core/error.h"

namespace winnow {
namespace {

std::int64_t ones(std::span<const std::uint8_t> bits) {
  std::int64_t count = 0;
  for (const std::uint8_t bit : bits) count += bit;
  return count;
}

// No mask is an empty row.
void save_mask(StateWriter& out, const std::string& key, const Shape& shape, const Mask& mask) {
  out.put_values<std::uint8_t>(key, mask.bits(), mask.bits().empty() ? Shape{0} : shape);
}

void load_mask(StateReader& in, const std::string& key, const Shape& shape, Mask& mask) {
  const bool none = in.get(key).bytes.empty();
  std::vector<std::uint8_t> bits(none ? 0 : static_cast<std::size_t>(shape.numel()));
  in.get_values(key, std::span(bits), none ? Shape{0} : shape);
  mask.replace(std::move(bits));
}

// What a cut leaves of a tensor: one that has the extents that are cut, or a single entry where an optimiser keeps one for
// a whole dimension.
Mirrored gathered(const Mirrored& tensor, TensorCut cut, const std::shared_ptr<DeviceStream>& stream) {
  const Shape whole = tensor.shape();
  if (cut.all() || tensor.numel() == 0) {
    Mirrored same(DType::F32, whole, stream);
    std::ranges::copy(tensor.read(), same.overwrite().begin());
    return same;
  }
  for (int dim = 0; dim < cut.whole.rank(); ++dim) {
    if (whole.rank() != cut.whole.rank() || (whole[dim] != cut.whole[dim] && whole[dim] != 1)) {
      fail(ErrorKind::Internal, "a cut of {} does not fit a state of {}", cut.whole.text(), whole.text());
    }
    if (whole[dim] != cut.whole[dim]) cut.left[static_cast<std::size_t>(dim)].clear();
  }
  cut.whole = whole;
  Mirrored left(DType::F32, cut.shape(), stream);
  const auto from = tensor.read();
  const auto to = left.overwrite();
  const std::vector<std::int64_t> places = cut.places();
  for (std::size_t i = 0; i < places.size(); ++i) to[i] = from[static_cast<std::size_t>(places[i])];
  return left;
}

// The slots of a parameter that have an entry for each weight.
std::vector<std::span<float>> changed_slots(std::vector<Mirrored>& slots, std::int64_t numel) {
  std::vector<std::span<float>> changed;
  for (Mirrored& slot : slots) {
    if (slot.numel() == numel) changed.push_back(slot.change());
  }
  return changed;
}

void forget(std::span<const std::span<float>> slots, std::size_t entry) {
  for (const std::span<float> slot : slots) slot[entry] = 0;
}

bool is_trained(const ParamSpec& spec) { return spec.trainable && !spec.retired; }

}  // namespace

ParamStore::ParamStore(const Model& model, const SlotShapes& slots, std::shared_ptr<DeviceStream> stream)
    : stream_(std::move(stream)), specs_(model.params), buffer_specs_(model.buffers) {
  const Shape none{0};
  for (const ParamSpec& spec : specs_) {
    State& state = params_.emplace_back(State{
        .weight = {DType::F32, spec.retired ? none : spec.shape, stream_},
        .grad = {DType::F32, is_trained(spec) ? spec.shape : none, stream_},
        .slots = {},
        .keep = Mask(stream_),
        .train = Mask(stream_),
    });
    if (!is_trained(spec)) continue;
    for (const SlotShape shape : slots) state.slots.emplace_back(DType::F32, shape(spec.shape), stream_);
  }
  for (const BufferSpec& spec : buffer_specs_) buffers_.emplace_back(DType::F32, spec.shape, stream_);
}

bool ParamStore::restart(const Model& model, const SlotShapes& slots) {
  const auto same = [](const ParamSpec& a, const ParamSpec& b) {
    return a.name == b.name && a.shape == b.shape && a.trainable == b.trainable && a.retired == b.retired;
  };
  const auto same_buffer = [](const BufferSpec& a, const BufferSpec& b) {
    return a.name == b.name && a.shape == b.shape;
  };
  const auto has_slot = [](const Mirrored& slot, const Shape& shape) { return slot.shape() == shape; };
  const auto has_slots = [&](const State& state) {
    if (state.grad.numel() == 0) return true;
    std::vector<Shape> shapes;
    for (const SlotShape shape : slots) shapes.push_back(shape(state.weight.shape()));
    return std::ranges::equal(state.slots, shapes, has_slot);
  };
  if (!std::ranges::equal(specs_, model.params, same) ||
      !std::ranges::equal(buffer_specs_, model.buffers, same_buffer) || !std::ranges::all_of(params_, has_slots)) {
    return false;
  }
  specs_ = model.params;
  buffer_specs_ = model.buffers;
  for (State& state : params_) {
    state.weight.zero();
    state.grad.zero();
    state.keep.replace({});
    state.train.replace({});
    state.init_seed = 0;
  }
  reset_slots();
  for (Mirrored& buffer : buffers_) buffer.zero();
  revision_ = changes_ = 0;
  enter_event("before training", false);
  return true;
}

std::span<float> ParamStore::change(ParamId id) {
  ++changes_;
  return at(id).weight.change();
}

std::span<float> ParamStore::change_slot(ParamId id, int i) {
  ++changes_;
  return at(id).slots.at(static_cast<std::size_t>(i)).change();
}

std::size_t ParamStore::reserve_masks() {
  std::size_t bytes = 0;
  for (std::size_t p = 0; p < params_.size(); ++p) {
    if (!is_trained(specs_[p])) continue;
    const auto entries = static_cast<std::size_t>(specs_[p].shape.numel());
    params_[p].keep.reserve(entries);
    params_[p].train.reserve(entries);
    bytes += 2 * entries;
  }
  return bytes;
}

void ParamStore::send() {
  for (State& state : params_) {
    state.weight.send();
    state.grad.send();
    for (Mirrored& slot : state.slots) slot.send();
    state.keep.send();
    state.train.send();
  }
  for (Mirrored& buffer : buffers_) buffer.send();
}

void ParamStore::gradients_written() {
  for (State& state : params_) state.grad.device_wrote();
  for (Mirrored& buffer : buffers_) buffer.device_wrote();
}

void ParamStore::update_written() {
  for (State& state : params_) {
    state.weight.device_wrote();
    for (Mirrored& slot : state.slots) slot.device_wrote();
  }
  for (Mirrored& buffer : buffers_) buffer.device_wrote();
}

void ParamStore::zero_gradient(ParamId id) { at(id).grad.zero(); }

void ParamStore::require_gradients(ParamId id) const {
  if (gradients_visible_) return;
  fail(ErrorKind::Internal,
       "gradients of '{}' are read {}; they are there at AfterBackward of steps that the method's event plan declares",
       specs_[static_cast<std::size_t>(id)].name, event_);
}

std::span<const float> ParamStore::grad(ParamId id) const {
  require_gradients(id);
  return own_gradient(id);
}

std::span<float> ParamStore::change_grad(ParamId id) {
  require_gradients(id);
  return change_own_gradient(id);
}

void ParamStore::enter_event(std::string event, bool gradients) {
  event_ = std::move(event);
  gradients_visible_ = gradients;
}

SeededInit ParamStore::seeded(ParamId id) const {
  const ParamSpec& spec = specs_.at(static_cast<std::size_t>(id));
  return {spec.init, RngKey{at(id).init_seed, stream_id("init/" + spec.name), 0}};
}

void ParamStore::redraw(ParamId id, std::uint64_t seed) {
  State& state = at(id);
  state.init_seed = seed;
  const auto [spec, key] = seeded(id);
  draw(spec, key, state.weight);
  ++changes_;
  enforce(state);
}

void ParamStore::draw(const InitSpec& spec, const RngKey& key, Mirrored& to) const {
  const Exec exec{.device = stream_ ? stream_->device() : Device::Cpu, .stream = stream_ ? stream_->queue() : nullptr};
  generate(spec, key, to.overwrite_memory().span<float>(), exec);
}

void ParamStore::initialise(std::uint64_t init_seed) {
  for (std::size_t i = 0; i < params_.size(); ++i) {
    if (!specs_[i].retired) redraw(ParamId(i), init_seed);
  }
  for (std::size_t i = 0; i < buffers_.size(); ++i) {
    draw({InitSpec::Kind::Constant, buffer_specs_[i].initial}, {}, buffers_[i]);
  }
  reset_slots();
}

std::span<const std::uint8_t> ParamStore::mask(ParamId id, MaskKind kind) const { return mask_of(at(id), kind).bits(); }

void ParamStore::replace_mask(ParamId id, MaskKind kind, std::span<const std::uint8_t> bits) {
  const std::string& name = specs_[static_cast<std::size_t>(id)].name;
  const auto numel = static_cast<std::size_t>(at(id).weight.numel());
  if (!bits.empty() && bits.size() != numel) {
    fail(ErrorKind::Internal, "mask of {} has {} entries, the tensor has {}", name, bits.size(), numel);
  }
  if (std::any_of(bits.begin(), bits.end(), [](std::uint8_t bit) { return bit > 1; })) {
    fail(ErrorKind::Internal, "mask of {} holds a byte other than 0 and 1", name);
  }
  put_mask(id, kind, {bits.begin(), bits.end()});
}

void ParamStore::put_mask(ParamId id, MaskKind kind, std::vector<std::uint8_t> bits) {
  State& state = at(id);
  Mask& mask = kind == MaskKind::Keep ? state.keep : state.train;
  const std::vector<std::uint8_t> before = mask.replace(std::move(bits));
  const auto weight = change(id);
  const auto slots = changed_slots(state.slots, state.weight.numel());
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (before[i] != 0 || !mask.at(i)) continue;  // not new
    if (kind == MaskKind::Keep) weight[i] = 0;
    forget(slots, i);
  }
  enforce(state);
  ++revision_;
}

void ParamStore::enforce(State& state) {
  if (state.keep.bits().empty() && state.train.bits().empty()) return;
  const auto weight = state.weight.change();
  const auto slots = changed_slots(state.slots, state.weight.numel());
  for (std::size_t i = 0; i < weight.size(); ++i) {
    const bool kept = state.keep.at(i);
    if (kept && state.train.at(i)) continue;
    if (!kept) weight[i] = 0;
    forget(slots, i);
  }
}

std::int64_t ParamStore::count(ParamId id, MaskKind kind) const {
  const auto bits = mask(id, kind);
  return bits.empty() ? at(id).weight.numel() : ones(bits);
}

std::int64_t ParamStore::live(ParamId id) const {
  const State& state = at(id);
  if (!specs_[static_cast<std::size_t>(id)].trainable) return 0;
  const auto keep = state.keep.bits(), train = state.train.bits();
  if (keep.empty()) return count(id, MaskKind::Trainable);
  if (train.empty()) return count(id, MaskKind::Keep);
  std::int64_t both = 0;
  for (std::size_t i = 0; i < keep.size(); ++i) both += keep[i] & train[i];
  return both;
}

std::uint64_t ParamStore::mask_digest() const {
  Digest digest;
  for (const State& state : params_) {
    digest.add(state.keep.bits());
    digest.add(state.train.bits());
  }
  return digest.value();
}

void ParamStore::gather(const Model& model, const ChannelCut& cut) {
  ParamStore smaller(model, {}, stream_);
  for (std::size_t p = 0; p < params_.size(); ++p) {
    const State& from = params_[p];
    State& to = smaller.params_[p];
    to.weight = gathered(from.weight, cut.params[p], stream_);
    for (const Mirrored& slot : from.slots) to.slots.push_back(gathered(slot, cut.params[p], stream_));
    for (auto mask : {&State::keep, &State::train}) {
      const auto bits = (from.*mask).bits();
      if (bits.empty()) continue;
      std::vector<std::uint8_t> left;
      for (const std::int64_t place : cut.params[p].places()) left.push_back(bits[static_cast<std::size_t>(place)]);
      (to.*mask).replace(std::move(left));
    }
    to.init_seed = from.init_seed;
  }
  for (std::size_t b = 0; b < buffers_.size(); ++b) {
    smaller.buffers_[b] = gathered(buffers_[b], cut.buffers[b], stream_);
  }
  specs_ = std::move(smaller.specs_);
  buffer_specs_ = std::move(smaller.buffer_specs_);
  params_ = std::move(smaller.params_);
  buffers_ = std::move(smaller.buffers_);
  ++revision_;
}

void ParamStore::reset_slots() {
  for (State& state : params_) {
    for (Mirrored& slot : state.slots) slot.zero();
  }
}

void ParamStore::save(StateWriter& out, bool with_slots, bool with_masks) const {
  const auto put = [&out](const std::string& key, const Mirrored& tensor) {
    out.put_values<float>(key, tensor.read(), tensor.shape());
  };
  for (std::size_t i = 0; i < params_.size(); ++i) {
    const State& state = params_[i];
    const std::string& name = specs_[i].name;
    if (specs_[i].retired) continue;
    put("param/" + name, state.weight);
    out.put_value("init_seed/" + name, state.init_seed);
    for (std::size_t s = 0; with_slots && s < state.slots.size(); ++s) {
      put("slot" + std::to_string(s) + "/" + name, state.slots[s]);
    }
    if (!with_masks) continue;
    save_mask(out, "keep/" + name, specs_[i].shape, state.keep);
    save_mask(out, "train/" + name, specs_[i].shape, state.train);
  }
  for (std::size_t i = 0; i < buffers_.size(); ++i) {
    put("buffer/" + buffer_specs_[i].name, buffers_[i]);
  }
}

void ParamStore::load(StateReader& in, bool with_slots, bool with_masks) {
  const auto get = [&in](const std::string& key, Mirrored& tensor) {
    in.get_values(key, tensor.overwrite(), tensor.shape());
  };
  for (std::size_t i = 0; i < params_.size(); ++i) {
    State& state = params_[i];
    const std::string& name = specs_[i].name;
    if (specs_[i].retired) continue;
    get("param/" + name, state.weight);
    state.init_seed = in.get_value<std::uint64_t>("init_seed/" + name);
    for (std::size_t s = 0; with_slots && s < state.slots.size(); ++s) {
      get("slot" + std::to_string(s) + "/" + name, state.slots[s]);
    }
    if (with_masks) {
      load_mask(in, "keep/" + name, specs_[i].shape, state.keep);
      load_mask(in, "train/" + name, specs_[i].shape, state.train);
    } else {
      enforce(state);  // values of an earlier moment under the masks of now
    }
  }
  for (std::size_t i = 0; i < buffers_.size(); ++i) {
    get("buffer/" + buffer_specs_[i].name, buffers_[i]);
  }
  ++changes_;
  if (with_masks) ++revision_;
}

std::size_t ParamStore::bytes() const {
  std::size_t total = 0;
  for (const State& state : params_) {
    total += state.weight.bytes() + state.grad.bytes();
    for (const Mirrored& slot : state.slots) total += slot.bytes();
    total += state.keep.bits().size() + state.train.bits().size();
  }
  for (const Mirrored& buffer : buffers_) total += buffer.bytes();
  return total;
}

}  // namespace winnow
