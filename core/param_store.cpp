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

bool bit_of(const std::vector<std::uint8_t>& mask, std::size_t i) { return mask.empty() || mask[i] != 0; }

// No mask is an empty row.
void save_mask(StateWriter& out, const std::string& key, const Shape& shape, const std::vector<std::uint8_t>& mask) {
  out.put_values<std::uint8_t>(key, mask, mask.empty() ? Shape{0} : shape);
}

void load_mask(StateReader& in, const std::string& key, const Shape& shape, std::vector<std::uint8_t>& mask) {
  const bool none = in.get(key).bytes.empty();
  mask.resize(none ? 0 : static_cast<std::size_t>(shape.numel()));
  in.get_values(key, std::span(mask), none ? Shape{0} : shape);
}

// What a cut leaves of a tensor: one that has the extents that are cut, or a single entry where an optimiser keeps one for
// a whole dimension.
Tensor gathered(const Tensor& tensor, TensorCut cut) {
  const Shape whole = tensor.view().shape;
  if (cut.all() || tensor.numel() == 0) return tensor.clone();
  for (int dim = 0; dim < cut.whole.rank(); ++dim) {
    if (whole.rank() != cut.whole.rank() || (whole[dim] != cut.whole[dim] && whole[dim] != 1)) {
      fail(ErrorKind::Internal, "a cut of {} does not fit a state of {}", cut.whole.text(), whole.text());
    }
    if (whole[dim] != cut.whole[dim]) cut.left[static_cast<std::size_t>(dim)].clear();
  }
  cut.whole = whole;
  Tensor left(DType::F32, cut.shape());
  const auto from = tensor.span<float>(), to = left.span<float>();
  const std::vector<std::int64_t> places = cut.places();
  for (std::size_t i = 0; i < places.size(); ++i) to[i] = from[static_cast<std::size_t>(places[i])];
  return left;
}

bool is_trained(const ParamSpec& spec) { return spec.trainable && !spec.retired; }

}  // namespace

ParamStore::ParamStore(const Model& model, const SlotShapes& slots)
    : specs_(model.params), buffer_specs_(model.buffers) {
  params_.resize(specs_.size());
  const Shape none{0};
  for (std::size_t i = 0; i < specs_.size(); ++i) {
    const ParamSpec& spec = specs_[i];
    State& state = params_[i];
    state.weight = Tensor(DType::F32, spec.retired ? none : spec.shape);
    state.grad = Tensor(DType::F32, is_trained(spec) ? spec.shape : none);
    if (!is_trained(spec)) continue;
    for (const SlotShape shape : slots) state.slots.emplace_back(DType::F32, shape(spec.shape));
  }
  for (const BufferSpec& spec : buffer_specs_) buffers_.emplace_back(DType::F32, spec.shape);
}

bool ParamStore::restart(const Model& model, const SlotShapes& slots) {
  const auto same = [](const ParamSpec& a, const ParamSpec& b) {
    return a.name == b.name && a.shape == b.shape && a.trainable == b.trainable && a.retired == b.retired;
  };
  const auto same_buffer = [](const BufferSpec& a, const BufferSpec& b) {
    return a.name == b.name && a.shape == b.shape;
  };
  const auto has_slot = [](const Tensor& slot, const Shape& shape) { return slot.view().shape == shape; };
  const auto has_slots = [&](const State& state) {
    if (state.grad.numel() == 0) return true;
    std::vector<Shape> shapes;
    for (const SlotShape shape : slots) shapes.push_back(shape(state.weight.view().shape));
    return std::ranges::equal(state.slots, shapes, has_slot);
  };
  if (!std::ranges::equal(specs_, model.params, same) ||
      !std::ranges::equal(buffer_specs_, model.buffers, same_buffer) || !std::ranges::all_of(params_, has_slots)) {
    return false;
  }
  specs_ = model.params;
  buffer_specs_ = model.buffers;
  for (State& state : params_) {
    std::ranges::fill(state.weight.span<float>(), 0.0f);
    std::ranges::fill(state.grad.span<float>(), 0.0f);
    state.keep.clear();
    state.train.clear();
    state.init_seed = 0;
    state.newest = Newest::Host;
  }
  reset_slots();
  for (Tensor& buffer : buffers_) std::ranges::fill(buffer.span<float>(), 0.0f);
  revision_ = changes_ = 0;
  enter_event("before training", false);
  return true;
}

const ParamStore::State& ParamStore::on_host(ParamId id) const {
  const State& state = at(id);
  if (state.newest == Newest::Device) {
    fail(ErrorKind::Internal, "parameter '{}' was updated on the device and not copied back",
         specs_[static_cast<std::size_t>(id)].name);
  }
  return state;
}

std::span<float> ParamStore::change(ParamId id) {
  (void)on_host(id);
  State& state = at(id);
  state.newest = Newest::Host;
  ++changes_;
  return state.weight.span<float>();
}

std::span<float> ParamStore::change_slot(ParamId id, int i) {
  (void)change(id);
  return at(id).slots.at(static_cast<std::size_t>(i)).span<float>();
}

void ParamStore::require_gradients(ParamId id) const {
  if (gradients_visible_) return;
  fail(ErrorKind::Internal,
       "gradients of '{}' are read {}; they are there at AfterBackward of steps that the method's event plan declares",
       specs_[static_cast<std::size_t>(id)].name, event_);
}

std::span<const float> ParamStore::grad(ParamId id) const {
  require_gradients(id);
  return at(id).grad.span<float>();
}

std::span<float> ParamStore::change_grad(ParamId id) {
  require_gradients(id);
  return at(id).grad.span<float>();
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
  generate(spec, key, change(id));
  enforce(state);
}

void ParamStore::initialise(std::uint64_t init_seed) {
  for (std::size_t i = 0; i < params_.size(); ++i) {
    if (!specs_[i].retired) redraw(ParamId(i), init_seed);
  }
  for (std::size_t i = 0; i < buffers_.size(); ++i) {
    const auto values = buffers_[i].span<float>();
    std::fill(values.begin(), values.end(), static_cast<float>(buffer_specs_[i].initial));
  }
  reset_slots();
}

std::span<const std::uint8_t> ParamStore::mask(ParamId id, MaskKind kind) const {
  return kind == MaskKind::Keep ? at(id).keep : at(id).train;
}

void ParamStore::replace_mask(ParamId id, MaskKind kind, std::span<const std::uint8_t> bits) {
  (void)change(id);
  State& state = at(id);
  const std::string& name = specs_[static_cast<std::size_t>(id)].name;
  const auto numel = static_cast<std::size_t>(state.weight.numel());
  if (!bits.empty() && bits.size() != numel) {
    fail(ErrorKind::Internal, "mask of {} has {} entries, the tensor has {}", name, bits.size(), numel);
  }
  if (std::any_of(bits.begin(), bits.end(), [](std::uint8_t bit) { return bit > 1; })) {
    fail(ErrorKind::Internal, "mask of {} holds a byte other than 0 and 1", name);
  }
  std::vector<std::uint8_t>& mask = kind == MaskKind::Keep ? state.keep : state.train;
  const std::vector<std::uint8_t> before = std::exchange(mask, {bits.begin(), bits.end()});
  const auto weight = state.weight.span<float>();
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (before[i] != 0 || !bit_of(mask, i)) continue;  // not new
    if (kind == MaskKind::Keep) weight[i] = 0;
    forget(state, i);
  }
  enforce(state);
  ++revision_;
}

void ParamStore::enforce(State& state) {
  if (state.keep.empty() && state.train.empty()) return;
  const auto weight = state.weight.span<float>();
  for (std::size_t i = 0; i < weight.size(); ++i) {
    const bool kept = bit_of(state.keep, i);
    if (kept && bit_of(state.train, i)) continue;
    if (!kept) weight[i] = 0;
    forget(state, i);
  }
}

void ParamStore::forget(State& state, std::size_t entry) {
  for (Tensor& slot : state.slots) {
    if (slot.numel() == state.weight.numel()) slot.span<float>()[entry] = 0;
  }
}

std::int64_t ParamStore::count(ParamId id, MaskKind kind) const {
  const auto bits = mask(id, kind);
  return bits.empty() ? at(id).weight.numel() : ones(bits);
}

std::int64_t ParamStore::live(ParamId id) const {
  const State& state = at(id);
  if (!specs_[static_cast<std::size_t>(id)].trainable) return 0;
  if (state.keep.empty()) return count(id, MaskKind::Trainable);
  if (state.train.empty()) return count(id, MaskKind::Keep);
  std::int64_t both = 0;
  for (std::size_t i = 0; i < state.keep.size(); ++i) both += state.keep[i] & state.train[i];
  return both;
}

std::uint64_t ParamStore::mask_digest() const {
  Digest digest;
  for (const State& state : params_) {
    digest.add(std::span<const std::uint8_t>(state.keep));
    digest.add(std::span<const std::uint8_t>(state.train));
  }
  return digest.value();
}

void ParamStore::gather(const Model& model, const ChannelCut& cut) {
  ParamStore smaller(model, {});
  for (std::size_t p = 0; p < params_.size(); ++p) {
    const State& from = on_host(ParamId(p));
    State& to = smaller.params_[p];
    to.weight = gathered(from.weight, cut.params[p]);
    for (const Tensor& slot : from.slots) to.slots.push_back(gathered(slot, cut.params[p]));
    for (auto mask : {&State::keep, &State::train}) {
      if ((from.*mask).empty()) continue;
      for (const std::int64_t place : cut.params[p].places()) {
        (to.*mask).push_back((from.*mask)[static_cast<std::size_t>(place)]);
      }
    }
    to.init_seed = from.init_seed;
  }
  for (std::size_t b = 0; b < buffers_.size(); ++b) {
    smaller.buffers_[b] = gathered(buffers_[b], cut.buffers[b]);
  }
  specs_ = std::move(smaller.specs_);
  buffer_specs_ = std::move(smaller.buffer_specs_);
  params_ = std::move(smaller.params_);
  buffers_ = std::move(smaller.buffers_);
  ++revision_;
}

void ParamStore::reset_slots() {
  for (State& state : params_) {
    state.newest = state.slots.empty() ? state.newest : Newest::Host;
    for (Tensor& slot : state.slots) {
      const auto values = slot.span<float>();
      std::fill(values.begin(), values.end(), 0.0f);
    }
  }
}

void ParamStore::save(StateWriter& out, bool with_slots, bool with_masks) const {
  const auto put = [&out](const std::string& key, const Tensor& tensor) {
    out.put_values<float>(key, tensor.span<const float>(), tensor.view().shape);
  };
  for (std::size_t i = 0; i < params_.size(); ++i) {
    const State& state = on_host(ParamId(i));
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
  const auto get = [&in](const std::string& key, const Tensor& tensor) {
    in.get_values(key, tensor.span<float>(), tensor.view().shape);
  };
  for (std::size_t i = 0; i < params_.size(); ++i) {
    State& state = params_[i];
    const std::string& name = specs_[i].name;
    if (specs_[i].retired) continue;
    state.newest = Newest::Host;
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
    total += state.weight.view().bytes() + state.grad.view().bytes();
    for (const Tensor& slot : state.slots) total += slot.view().bytes();
    total += state.keep.size() + state.train.size();
  }
  for (const Tensor& buffer : buffers_) total += buffer.view().bytes();
  return total;
}

}  // namespace winnow
