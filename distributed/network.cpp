#include "distributed/network.h"

#include <algorithm>
#include <map>

#include "core/autodiff.h"
#include "core/error.h"
#include "core/op.h"
#include "kernels/processor.h"

namespace winnow {
namespace {

// The cross-entropy of the logits; `denominator` 1 makes it a sum.
void add_loss(ProgramDraft& draft, std::int64_t batch, double smoothing, std::int64_t denominator) {
  Graph& graph = draft.model.graph;
  draft.labels = graph.input("labels", {batch}, DType::I32);
  const auto out = graph.emit("softmax_cross_entropy", {draft.model.logits, draft.labels},
                              {{"label_smoothing", smoothing}, {"denominator", denominator}}, "loss");
  draft.loss = out[0];
  draft.correct = out[1];
  draft.correct5 = out[2];
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

DType compute_type(const Settings& train) {
  const std::string& precision = train.text("precision");
  if (precision == "auto") return processor_has_bf16() ? DType::BF16 : DType::F32;
  return precision == "bf16" ? DType::BF16 : DType::F32;
}

Network::Network(BuildModel build, Method& method, const Settings& train, DType compute, int threads)
    : build_(std::move(build)), method_(method), train_(train), compute_(compute), threads_(threads) {}

Model Network::model(std::int64_t batch, DType compute) const {
  Model model = build_(batch, compute);
  GraphEditor editor(model, train_);
  method_.edit(editor);
  return model;
}

ProgramDraft Network::training(std::int64_t batch, std::int64_t denominator, std::span<const ParamId> resting) const {
  ProgramDraft draft{.purpose = Purpose::Train, .model = model(batch), .threads = threads_};
  add_loss(draft, batch, train_.real("label_smoothing"), denominator);
  set_norm_statistics(draft.model.graph, NormStatistics::Batch);
  for (const ParamId id : resting) draft.model.param(id).trainable = false;
  if (!resting.empty()) rest_norms(draft.model, resting);
  return draft;
}

ProgramDraft Network::evaluation(std::int64_t batch) const {
  ProgramDraft draft{.purpose = Purpose::Evaluate, .model = model(batch), .threads = threads_};
  drop_train_only(draft.model.graph, std::span(&draft.model.logits, 1));
  set_norm_statistics(draft.model.graph, NormStatistics::Running);
  add_loss(draft, batch, 0.0, 1);
  return draft;
}

ProgramDraft Network::probe(const ProbeRequest& request, std::int64_t batch, std::int64_t denominator) const {
  ProgramDraft draft{.purpose = Purpose::Probe, .model = model(batch, DType::F32), .threads = threads_};
  Graph& graph = draft.model.graph;
  drop_train_only(graph, std::span(&draft.model.logits, 1));
  set_norm_statistics(graph, request.norm);
  if (request.loss == ProbeRequest::Loss::CrossEntropy) {
    add_loss(draft, batch, 0.0, denominator);
  } else {
    draft.loss = graph.emit1("reduce_sum", {draft.model.logits}, {}, "sum_of_logits");
  }
  return draft;
}

DoubleNetwork Network::probe_in_double(const ProbeRequest& request) const {
  if (request.loss != ProbeRequest::Loss::SumOfLogits) {
    fail(ErrorKind::Internal, "a probe in double precision takes the sum of the logits");
  }
  ProgramDraft d = probe(request, 1, 1);
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
          d.loss,
          std::move(gradients),
          std::move(leaves),
          std::move(buffers)};
}

std::vector<TrainState::LayerWeight> Network::effective_weights(ParamStore& params) const {
  Model edited = model(1);
  GraphEditor editor(edited, train_);
  std::vector<ValueId> outputs;
  std::vector<Binding> bindings;
  const std::vector<Layer> layers = editor.layers();
  for (const Layer& layer : layers) {
    if (edited.graph.producer(layer.weight) != nullptr) outputs.push_back(layer.weight);
  }
  for (std::size_t p = 0; p < params.size(); ++p) {
    if (!edited.params[p].retired) bindings.push_back({edited.params[p].value, params.weight_memory(ParamId(p)).data});
  }
  for (std::size_t b = 0; b < params.buffer_count(); ++b) {
    bindings.push_back({edited.buffers[b].value, params.buffer_memory(b).data});
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
