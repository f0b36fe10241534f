#include "distributed/network.h"

#include <algorithm>
#include <map>

#include "core/autodiff.h"
#include "core/error.h"
#include "kernels/processor.h"

namespace winnow {

DType compute_type(const Settings& train) {
  const std::string& precision = train.text("precision");
  if (precision == "auto") return processor_has_bf16() ? DType::BF16 : DType::F32;
  return precision == "bf16" ? DType::BF16 : DType::F32;
}

// A graph on its way to a program.
struct Network::Draft {
  Model model;
  ValueId labels = kNoValue, loss = kNoValue, correct = kNoValue, correct5 = kNoValue;
};

Network::Network(BuildModel build, Method& method, const Settings& train, DType compute, int threads)
    : build_(std::move(build)), method_(method), train_(train), compute_(compute), threads_(threads) {}

Model Network::model(std::int64_t batch, DType compute) const {
  Model model = build_(batch, compute);
  GraphEditor editor(model, train_);
  method_.edit(editor);
  return model;
}

namespace {

// The cross-entropy of the logits; `denominator` 1 makes it a sum.
template <class Draft>
void add_loss(Draft& draft, std::int64_t batch, double smoothing, std::int64_t denominator) {
  Graph& graph = draft.model.graph;
  draft.labels = graph.input("labels", {batch}, DType::I32);
  const auto out = graph.emit("softmax_cross_entropy", {draft.model.logits, draft.labels},
                              {{"label_smoothing", smoothing}, {"denominator", denominator}}, "loss");
  draft.loss = out[0];
  draft.correct = out[1];
  draft.correct5 = out[2];
}

}  // namespace

Network::Draft Network::draft(std::int64_t batch, DType compute) const {
  Draft draft;
  draft.model = model(batch, compute);
  return draft;
}

CompiledNetwork Network::compile(Draft& draft, ParamStore& params, bool gradients, bool into_params) const {
  Graph& graph = draft.model.graph;
  std::vector<ValueId> outputs = {draft.loss};
  for (const ValueId id : {draft.correct, draft.correct5}) {
    if (id != kNoValue) outputs.push_back(id);
  }
  fuse_norm(graph, outputs);
  std::vector<Binding> bindings = {{draft.model.input, nullptr}};
  if (draft.labels != kNoValue) bindings.push_back({draft.labels, nullptr});
  std::vector<ValueId> wanted;
  for (std::size_t p = 0; p < params.size(); ++p) {
    const ParamSpec& spec = draft.model.params[p];
    if (spec.retired) continue;
    bindings.push_back({spec.value, params.weight(ParamId(p)).data()});
    // A probe scores frozen parameters too: FreezeNet and SNIP look at all of them before anything is trained.
    if (gradients && (spec.trainable || !into_params)) wanted.push_back(spec.value);
  }
  for (std::size_t b = 0; b < params.buffer_count(); ++b) {
    bindings.push_back({draft.model.buffers[b].value, params.buffer(b).data()});
  }
  std::vector<std::pair<ValueId, ParamId>> grads;
  if (gradients) {
    std::vector<char> seen;
    for (const Gradient& gradient : differentiate(graph, draft.loss, wanted)) {
      const auto spec = std::find_if(draft.model.params.begin(), draft.model.params.end(),
                                     [&](const ParamSpec& s) { return s.value == gradient.of; });
      const auto id = ParamId(static_cast<std::uint32_t>(spec - draft.model.params.begin()));
      if (gradient.grad == kNoValue) {
        if (into_params) std::ranges::fill(params.grad(id), 0.0f);
        continue;
      }
      seen.resize(graph.value_count(), 0);
      if (into_params) {
        if (seen[static_cast<std::size_t>(gradient.grad)]++ != 0) {
          fail(ErrorKind::Internal, "parameter '{}' shares its gradient with another one", spec->name);
        }
        bindings.push_back({gradient.grad, params.grad(id).data()});
      }
      grads.emplace_back(gradient.grad, id);
      outputs.push_back(gradient.grad);
    }
  }
  std::vector<ValueId> leaves, buffers;
  for (const ParamSpec& spec : draft.model.params) leaves.push_back(spec.value);
  for (const BufferSpec& spec : draft.model.buffers) buffers.push_back(spec.value);
  return {Program(graph, outputs, bindings, threads_),
          draft.model.input,
          draft.labels,
          draft.loss,
          draft.correct,
          draft.correct5,
          std::move(grads),
          std::move(leaves),
          std::move(buffers)};
}

CompiledNetwork Network::training(std::int64_t batch, std::int64_t denominator, ParamStore& params) const {
  Draft d = draft(batch, compute_);
  add_loss(d, batch, train_.real("label_smoothing"), denominator);
  set_norm_statistics(d.model.graph, NormStatistics::Batch);
  return compile(d, params, true, true);
}

CompiledNetwork Network::evaluation(std::int64_t batch, ParamStore& params) const {
  Draft d = draft(batch, compute_);
  drop_train_only(d.model.graph, std::span(&d.model.logits, 1));
  set_norm_statistics(d.model.graph, NormStatistics::Running);
  add_loss(d, batch, 0.0, 1);
  return compile(d, params, false, false);
}

CompiledNetwork Network::probe(const ProbeRequest& request, std::int64_t batch, std::int64_t denominator,
                               ParamStore& params) const {
  Draft d = draft(batch, DType::F32);
  drop_train_only(d.model.graph, std::span(&d.model.logits, 1));
  set_norm_statistics(d.model.graph, request.norm);
  if (request.loss == ProbeRequest::Loss::CrossEntropy) {
    add_loss(d, batch, 0.0, denominator);
  } else {
    d.loss = d.model.graph.emit1("reduce_sum", {d.model.logits}, {}, "sum_of_logits");
  }
  return compile(d, params, true, false);
}

DoubleNetwork Network::probe_in_double(const ProbeRequest& request) const {
  if (request.loss != ProbeRequest::Loss::SumOfLogits) {
    fail(ErrorKind::Internal, "a probe in double precision takes the sum of the logits");
  }
  Draft d = draft(1, DType::F32);
  Graph& graph = d.model.graph;
  drop_train_only(graph, std::span(&d.model.logits, 1));
  set_norm_statistics(graph, request.norm);
  d.loss = graph.emit1("reduce_sum", {d.model.logits}, {}, "sum_of_logits");
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
    if (!edited.params[p].retired) bindings.push_back({edited.params[p].value, params.weight(ParamId(p)).data()});
  }
  for (std::size_t b = 0; b < params.buffer_count(); ++b) {
    bindings.push_back({edited.buffers[b].value, params.buffer(b).data()});
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
