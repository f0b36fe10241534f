#include "distributed/program_cache.h"

#include <algorithm>
#include <array>

#include "core/autodiff.h"
#include "core/error.h"
#include "core/fit_channels.h"
#include "core/passes.h"

namespace winnow {
namespace {

// The graph that the program is made of, and what becomes of its values.
struct Finished {
  Graph graph;
  std::vector<ValueId> outputs;
  std::vector<Binding> bindings;
  std::vector<std::pair<ValueId, ParamId>> gradients;
  std::vector<CompiledNetwork::Named> named;
  FusedStatistics statistics;
};

// A program at an event reads the host's copy, which it has bound anew before it runs.
void* weight_of(const ProgramDraft& draft, const ParamStore& params, ParamId id) {
  return draft.at_event ? const_cast<float*>(params.weight(id).data()) : params.weight_memory(id).data;
}
void* buffer_of(const ProgramDraft& draft, const ParamStore& params, std::size_t i) {
  return draft.at_event ? const_cast<float*>(params.buffer(i).data()) : params.buffer_memory(i).data;
}

// Fuses and differentiates the draft's graph, for the device that runs it.
Finished finish(const ProgramDraft& draft, ParamStore& params, Device device) {
  const bool into_params = draft.use == Use::Train;
  const bool gradients = draft.use != Use::Evaluate && draft.objective != kNoValue;
  Graph graph = draft.model.graph;
  std::vector<ValueId> outputs = {draft.loss};
  for (const ValueId id : {draft.correct, draft.correct5}) {
    if (id != kNoValue) outputs.push_back(id);
  }
  for (const Reported& each : draft.reported) outputs.push_back(each.value);
  for (const NamedValue& named : draft.named) outputs.push_back(named.value);
  if (draft.objective != kNoValue && draft.objective != draft.loss) outputs.push_back(draft.objective);
  fuse_norm(graph, outputs);
  FusedStatistics statistics;
  if (draft.fuse_statistics && device != Device::Cpu) statistics = fuse_statistics(graph, outputs, device);
  std::vector<Binding> bindings = {{draft.model.input, nullptr}};
  if (draft.labels != kNoValue) bindings.push_back({draft.labels, nullptr});
  for (const ValueId fed : draft.taught) bindings.push_back({fed, nullptr});
  std::vector<ValueId> wanted;
  for (std::size_t p = 0; p < params.size(); ++p) {
    const ParamSpec& spec = draft.model.params[p];
    if (spec.retired) continue;
    bindings.push_back({spec.value, weight_of(draft, params, ParamId(p))});
    // A probe scores frozen parameters too: FreezeNet and SNIP look at all of them before anything is trained.
    if (gradients && (spec.trainable || !into_params)) wanted.push_back(spec.value);
  }
  for (std::size_t b = 0; b < params.buffer_count(); ++b) {
    bindings.push_back({draft.model.buffers[b].value, buffer_of(draft, params, b)});
  }
  std::vector<std::pair<ValueId, ParamId>> grads;
  std::vector<CompiledNetwork::Named> named;
  const std::vector<char> activation = draft.named.empty() ? std::vector<char>{} : activations(draft.model);
  for (const NamedValue& one : draft.named) {
    named.push_back({one.name, one.value, kNoValue, activation[static_cast<std::size_t>(one.value)] != 0});
    wanted.push_back(one.value);
  }
  if (gradients) {
    std::vector<char> seen;
    for (const Gradient& gradient : differentiate(graph, draft.objective, wanted)) {
      const auto watched = std::ranges::find(named, gradient.of, &CompiledNetwork::Named::value);
      if (watched != named.end()) {
        watched->gradient = gradient.grad;
        if (gradient.grad != kNoValue) outputs.push_back(gradient.grad);
        continue;
      }
      const auto spec = std::find_if(draft.model.params.begin(), draft.model.params.end(),
                                     [&](const ParamSpec& s) { return s.value == gradient.of; });
      const auto id = ParamId(static_cast<std::uint32_t>(spec - draft.model.params.begin()));
      if (gradient.grad == kNoValue) {
        if (into_params) params.zero_gradient(id);
        continue;
      }
      seen.resize(graph.value_count(), 0);
      if (into_params) {
        if (seen[static_cast<std::size_t>(gradient.grad)]++ != 0) {
          fail(ErrorKind::Internal, "parameter '{}' shares its gradient with another one", spec->name);
        }
        bindings.push_back({gradient.grad, params.grad_memory(id).data});
      }
      grads.emplace_back(gradient.grad, id);
      outputs.push_back(gradient.grad);
    }
  }
  if (device != Device::Cpu) {
    fuse_gradient_sums(graph, outputs);
    fuse_relu(graph, outputs);
    fit_channels(graph, outputs);
  }
  return {std::move(graph), std::move(outputs), std::move(bindings), std::move(grads), std::move(named), statistics};
}

Device device_of(const ProgramDraft& draft, const std::shared_ptr<DeviceStream>& stream) {
  return stream && !draft.at_event ? stream->device() : Device::Cpu;
}

CompiledNetwork compile(const ProgramDraft& draft, ParamStore& params, const std::shared_ptr<DeviceStream>& stream) {
  Finished made = finish(draft, params, device_of(draft, stream));
  std::vector<ValueId> leaves, buffers;
  for (const ParamSpec& spec : draft.model.params) leaves.push_back(spec.value);
  for (const BufferSpec& spec : draft.model.buffers) buffers.push_back(spec.value);
  return {Program(made.graph, made.outputs, made.bindings, {draft.at_event ? nullptr : stream, draft.threads}),
          draft.model.input,
          draft.labels,
          draft.loss,
          draft.correct,
          draft.correct5,
          draft.reported,
          std::move(made.gradients),
          std::move(leaves),
          std::move(buffers),
          std::move(made.named),
          draft.taught,
          made.statistics};
}

// Is the program that comes of them the same, but for real numbers that it reads in memory?
bool same(const ProgramDraft& a, const ProgramDraft& b) {
  const auto same_param = [](const ParamSpec& x, const ParamSpec& y) {
    return x.value == y.value && x.trainable == y.trainable && x.retired == y.retired;
  };
  const auto values = [](const ProgramDraft& d) {
    return std::array{d.model.input, d.model.logits, d.labels, d.loss, d.correct, d.correct5, d.objective};
  };
  const auto same_named = [](const NamedValue& x, const NamedValue& y) {
    return x.name == y.name && x.value == y.value;
  };
  return a.use == b.use && a.threads == b.threads && a.at_event == b.at_event &&
         a.fuse_statistics == b.fuse_statistics && values(a) == values(b) && a.reported == b.reported &&
         a.taught == b.taught && std::ranges::equal(a.named, b.named, same_named) &&
         std::ranges::equal(a.model.params, b.model.params, same_param) &&
         std::ranges::equal(a.model.buffers, b.model.buffers, {}, &BufferSpec::value, &BufferSpec::value) &&
         a.model.graph.same_but_reals(b.model.graph);
}

}  // namespace

ParamStore& ProgramCache::begin(const Model& model, const SlotShapes& slots) {
  if (!params_ || !params_->restart(model, slots)) {
    entries_.clear();
    params_.emplace(model, slots, stream_);
  }
  for (const auto& entry : entries_) entry->used = false;
  for (auto& [split, feeder] : feeders_) feeder.restart();
  return *params_;
}

void ProgramCache::gather(const Model& model, const ChannelCut& cut) {
  entries_.clear();
  params_->gather(model, cut);
}

CompiledNetwork& ProgramCache::compiled(ProgramDraft draft) {
  const auto equal = [&](const Entry& entry) { return entry.draft.model.graph == draft.model.graph; };
  auto found = std::ranges::find_if(entries_, [&](const auto& e) { return same(e->draft, draft) && equal(*e); });
  // The present trial may want a program with other numbers as well as this one.
  if (found == entries_.end()) {
    found = std::ranges::find_if(entries_, [&](const auto& e) { return !e->used && same(e->draft, draft); });
  }
  if (found != entries_.end()) {
    Entry& entry = **found;
    ++reused_;
    entry.used = true;
    RunContext(entry.net.program.context()).set_status({});  // nothing that an earlier trial marked
    if (!equal(entry)) entry.net.program.set_reals(finish(draft, *params_, device_of(draft, stream_)).graph);
    entry.draft = std::move(draft);
    return entry.net;
  }
  // It takes the place of what an earlier trial had for the same purpose, so that no sweep piles programs up.
  std::erase_if(entries_, [&](const auto& entry) { return !entry->used && entry->draft.use == draft.use; });
  CompiledNetwork net = compile(draft, *params_, stream_);
  return entries_.emplace_back(std::make_unique<Entry>(Entry{std::move(draft), std::move(net)}))->net;
}

namespace {

std::size_t bytes_of(const CompiledNetwork& net) { return net.program.arena_bytes() + net.program.scratch_bytes(); }

}  // namespace

void ProgramCache::done_with(const CompiledNetwork& net, std::size_t bytes) {
  if (bytes_of(net) <= bytes) return;
  std::erase_if(entries_, [&](const auto& entry) { return &entry->net == &net; });
}

void ProgramCache::keep(const std::shared_ptr<const DevicePixels>& pixels) {
  if (!pixels || std::ranges::find(pixels_, pixels) != pixels_.end()) return;
  constexpr std::size_t kSplits = 2;  // training and validation share theirs
  if (pixels_.size() == kSplits) pixels_.erase(pixels_.begin());
  pixels_.push_back(pixels);
}

void ProgramCache::shrink_probes(std::size_t bytes) {
  std::erase_if(entries_,
                [&](const auto& entry) { return entry->draft.use == Use::Probe && bytes_of(entry->net) > bytes; });
}

}  // namespace winnow
