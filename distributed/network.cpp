#include "distributed/network.h"

#include <algorithm>
#include <map>

#include "core/autodiff.h"
#include "core/error.h"
#include "core/op.h"
#include "kernels/processor.h"

namespace winnow {
namespace {

// The cross-entropy of the logits over `temperature`; `denominator` 1 makes it a sum.
void add_label_loss(ProgramDraft& draft, std::int64_t batch, double smoothing, std::int64_t denominator,
                    double temperature = 1) {
  Graph& graph = draft.model.graph;
  draft.labels = draft.model.labels != kNoValue ? draft.model.labels : graph.input("labels", {batch}, DType::I32);
  ValueId logits = draft.model.logits;
  if (temperature != 1) logits = graph.scaled(logits, 1 / temperature, "tempered");
  const auto out = graph.emit("softmax_cross_entropy", {logits, draft.labels},
                              {{"label_smoothing", smoothing}, {"denominator", denominator}}, "loss");
  draft.loss = draft.objective = out[0];
  draft.correct = out[1];
  draft.correct5 = out[2];
}

// The method's terms. Each is given the share of the whole batch that this rank has, so that the sum over ranks is the
// mean of means where a term depends on the batch, and the term itself, once, where it does not.
void add_extra_losses(ProgramDraft& draft, double share) {
  Graph& graph = draft.model.graph;
  for (const ExtraLoss& extra : draft.model.losses) {
    const ValueId term = graph.scaled(extra.value, extra.weight * share, extra.name);
    draft.reported.push_back({extra.name, term});
    if (!extra.trained) continue;
    draft.objective = draft.objective == kNoValue ? term : graph.emit1("add", {draft.objective, term}, {}, "objective");
  }
}

// The labels' loss as it is trained.
void weigh_labels(ProgramDraft& draft) {
  Graph& graph = draft.model.graph;
  const double weight = draft.model.label_weight;
  if (weight == 0) draft.objective = kNoValue;
  if (weight == 0 || weight == 1) return;
  draft.objective = graph.scaled(draft.loss, weight, "loss/weighed");
}

void rest_norms(Model& model, std::span<const ParamId> resting) {
  for (NodeId at = 0; at < model.graph.node_count(); ++at) {
    Node& node = model.graph.node(at);
    if (!find_op(node.op).mixes_examples) continue;
    bool any = false, all = true;
    for (std::size_t p = 0; p < model.params.size(); ++p) {
      if (std::ranges::find(node.in, model.params[p].value) == node.in.end()) continue;
      any = true;
      all = all && std::ranges::find(resting, ParamId(p)) != resting.end();
    }
    if (any && all) node.attrs.set("running", std::int64_t{1});
  }
}

}  // namespace

// Every GPU that the CUDA back end is compiled for multiplies bf16 in tensor cores.
DType compute_type(const Settings& train, Device device) {
  const std::string& precision = train.text("precision");
  if (precision == "auto") return device != Device::Cpu || processor_has_bf16() ? DType::BF16 : DType::F32;
  return precision == "bf16" ? DType::BF16 : DType::F32;
}

Network::Network(BuildModel build, Method& method, const Settings& train, DType compute, int threads)
    : build_(std::move(build)), method_(method), train_(train), compute_(compute), threads_(threads) {}

Model Network::model(std::int64_t batch, DType compute, Use use) const {
  Model model = build_(batch, compute);
  GraphEditor editor(model, train_, use);
  method_.edit(editor);
  for (const auto& groups : removals_) winnow::remove_channels(model, groups);
  return model;
}

ChannelCut Network::remove_channels(std::span<const std::int64_t> groups) {
  Model smaller = model(1, Use::Export);
  ChannelCut cut = winnow::remove_channels(smaller, groups);
  kept_ = kept_.then(cut);
  removals_.emplace_back(groups.begin(), groups.end());
  return cut;
}

void Network::save(StateWriter& out) const {
  out.put_value("removals", std::ssize(removals_));
  for (std::size_t i = 0; i < removals_.size(); ++i) {
    out.put_values<std::int64_t>(fmt::format("removed/{}", i), removals_[i]);
  }
}

bool Network::load(StateReader& in) {
  const auto before = std::exchange(removals_, {});
  kept_ = {};
  const auto count = in.get_value<std::int64_t>("removals");
  for (std::int64_t i = 0; i < count; ++i) remove_channels(in.get_list<std::int64_t>(fmt::format("removed/{}", i)));
  return removals_ != before;
}

ProgramDraft Network::training(std::int64_t batch, std::int64_t denominator, std::span<const ParamId> resting) const {
  ProgramDraft draft{.use = Use::Train, .model = model(batch, Use::Train), .threads = threads_};
  add_label_loss(draft, batch, train_.real("label_smoothing"), denominator);
  weigh_labels(draft);
  add_extra_losses(draft, static_cast<double>(batch) / static_cast<double>(denominator));
  if (draft.objective == kNoValue) fail(ErrorKind::Internal, "no loss is left to train: labels weigh 0, and no other");
  if (draft.model.teaching) draft.taught = draft.model.teaching->inputs;
  set_norm_statistics(draft.model.graph, NormStatistics::Batch);
  for (const ParamId id : resting) draft.model.param(id).trainable = false;
  if (!resting.empty()) rest_norms(draft.model, resting);
  draft.fuse_statistics = train_.flag("fuse_statistics");
  return draft;
}

ProgramDraft Network::evaluation(std::int64_t batch) const {
  ProgramDraft draft{.use = Use::Evaluate, .model = model(batch, Use::Evaluate), .threads = threads_};
  drop_train_only(draft.model.graph, std::span(&draft.model.logits, 1));
  set_norm_statistics(draft.model.graph, NormStatistics::Running);
  add_label_loss(draft, batch, 0.0, 1);
  for (const Observed& each : draft.model.observed) draft.reported.push_back({each.name, each.value});
  return draft;
}

ProgramDraft Network::statistics(std::int64_t batch) const {
  ProgramDraft draft{.use = Use::Train, .model = model(batch, Use::Train), .threads = threads_, .at_event = true};
  set_norm_statistics(draft.model.graph, NormStatistics::Batch);
  set_norm_momentum(draft.model.graph, 1);
  draft.loss = draft.model.logits;
  return draft;
}

ProgramDraft Network::probe(const ProbeRequest& request, std::int64_t batch, std::int64_t denominator) const {
  ProgramDraft draft{
      .use = Use::Probe, .model = model(batch, DType::F32, Use::Probe), .threads = threads_, .at_event = true};
  Graph& graph = draft.model.graph;
  drop_train_only(graph, std::span(&draft.model.logits, 1));
  if (request.edit) {
    GraphEditor editor(draft.model, train_, Use::Probe);
    draft.named = request.edit(editor);
  }
  set_norm_statistics(graph, request.norm);
  if (request.loss == ProbeRequest::Loss::CrossEntropy) {
    add_label_loss(draft, batch, 0.0, denominator, request.temperature);
  } else {
    draft.loss = draft.objective = graph.emit1("reduce_sum", {draft.model.logits}, {}, "sum_of_logits");
  }
  return draft;
}

DoubleNetwork Network::probe_in_double(const ProbeRequest& request, std::int64_t batch) const {
  ProgramDraft d = probe(request, batch, batch);
  Graph& graph = d.model.graph;
  std::vector<ValueId> wanted, outputs = {d.loss}, leaves, buffers;
  std::map<ValueId, ParamId> owner;
  for (std::size_t p = 0; p < d.model.params.size(); ++p) {
    const ParamSpec& spec = d.model.params[p];
    leaves.push_back(spec.value);
    if (spec.retired) continue;
    wanted.push_back(spec.value);
    owner[spec.value] = ParamId(p);
  }
  for (const BufferSpec& spec : d.model.buffers) buffers.push_back(spec.value);
  std::vector<std::pair<ValueId, ParamId>> gradients;
  for (const Gradient& gradient : differentiate(graph, d.loss, wanted)) {
    if (gradient.grad == kNoValue) continue;
    gradients.emplace_back(gradient.grad, owner.at(gradient.of));
    outputs.push_back(gradient.grad);
  }
  return {DoubleProgram(std::move(graph), outputs, threads_),
          d.model.input,
          d.labels,
          d.loss,
          std::move(gradients),
          std::move(leaves),
          std::move(buffers)};
}

std::vector<TrainState::LayerWeight> Network::effective_weights(ParamStore& params) const {
  Model edited = model(1, Use::Export);
  GraphEditor editor(edited, train_);
  std::vector<ValueId> outputs;
  std::vector<Binding> bindings;
  const std::vector<Layer> layers = editor.layers();
  for (const Layer& layer : layers) {
    if (edited.graph.producer(layer.weight) != nullptr) outputs.push_back(layer.weight);
  }
  for (std::size_t p = 0; p < params.size(); ++p) {
    if (edited.params[p].retired) continue;
    bindings.push_back({edited.params[p].value, const_cast<float*>(params.weight(ParamId(p)).data())});
  }
  for (std::size_t b = 0; b < params.buffer_count(); ++b) {
    bindings.push_back({edited.buffers[b].value, const_cast<float*>(params.buffer(b).data())});
  }
  Program program(edited.graph, outputs, bindings, threads_);
  program.run();
  std::vector<TrainState::LayerWeight> weights;
  for (const Layer& layer : layers) {
    const TensorView view = program.view(layer.weight);
    const auto values = view.span<float>();
    weights.push_back({layer.name, view.shape, {values.begin(), values.end()}});
  }
  return weights;
}

}  // namespace winnow
