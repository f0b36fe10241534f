#include "distributed/teacher.h"

#include <algorithm>

#include "core/error.h"
#include "core/graph_editor.h"
#include "core/passes.h"

namespace winnow {

Model Teacher::inference(const Teaching& teaching, const Settings& train, std::int64_t rows, DType compute) {
  Model model = needed_.build(rows, compute);
  Graph& graph = model.graph;
  drop_train_only(graph, std::span(&model.logits, 1));
  set_norm_statistics(graph, NormStatistics::Running);
  GraphEditor editor(model, train, Use::Evaluate);
  values_ = teaching.values(editor);
  fuse_norm(graph, outputs());
  return model;
}

std::vector<ValueId> Teacher::outputs() const {
  std::vector<ValueId> found;
  for (const TaughtValue& taught : values_) found.push_back(taught.value);
  return found;
}

std::vector<Binding> Teacher::bindings() {
  std::vector<Binding> bound = {{model_.input, nullptr}};
  for (std::size_t p = 0; p < params_.size(); ++p) {
    bound.push_back({model_.params[p].value, params_.weight_memory(ParamId(p)).data});
  }
  for (std::size_t b = 0; b < params_.buffer_count(); ++b) {
    bound.push_back({model_.buffers[b].value, params_.buffer_memory(b).data});
  }
  return bound;
}

Teacher::Teacher(const Teaching& teaching, const Settings& train, std::int64_t rows, DType compute,
                 const RunContext& context)
    : needed_(*teaching.teacher),
      model_(inference(teaching, train, rows, compute)),
      params_(model_, {}, context.stream()),
      program_(model_.graph, outputs(), bindings(), context) {
  if (needed_.network == Needed::Network::Other) {
    fail(ErrorKind::Settings, "{} cannot teach: its method evaluates another network than its model", needed_.trial);
  }
  for (std::size_t p = 0; p < params_.size(); ++p) {
    copy_values(params_.specs()[p].name, params_.change(ParamId(p)));
  }
  for (std::size_t b = 0; b < params_.buffer_count(); ++b) {
    copy_values(params_.buffer_specs()[b].name, params_.change_buffer(b));
  }
  params_.send();
  if (needed_.network == Needed::Network::Model) return;
  for (const NeededTensor& tensor : needed_.tensors) {
    if (used_.contains(tensor.name)) continue;
    fail(ErrorKind::Settings, "{} cannot teach: its method gave its network the tensor '{}', which its model lacks",
         needed_.trial, tensor.name);
  }
}

void Teacher::copy_values(const std::string& name, std::span<float> out) {
  const auto tensor = std::ranges::find(needed_.tensors, name, &NeededTensor::name);
  if (tensor == needed_.tensors.end() || tensor->values.size() != out.size()) {
    fail(ErrorKind::Settings, "{} cannot teach: its result has no tensor '{}' of {} values, which its model needs",
         needed_.trial, name, out.size());
  }
  std::ranges::copy(tensor->values, out.begin());
  used_.insert(name);
}

void Teacher::compute(void* images, Communicator& ranks) {
  program_.bind(model_.input, images);
  program_.run();
  if (ranks.size() == 1) return;
  means_.clear();
  for (const TaughtValue& taught : values_) {
    if (taught.mean_over_ranks) means_.push_back(program_.scalar<float>(taught.value));
  }
  if (means_.empty()) return;
  ranks.all_reduce_sum(std::span(means_));
  auto sum = means_.begin();
  for (const TaughtValue& taught : values_) {
    if (!taught.mean_over_ranks) continue;
    const auto mean = static_cast<float>(*sum++ / ranks.size());
    program_.context().write(program_.view(taught.value).data, &mean, sizeof mean);
  }
}

}  // namespace winnow
