#include "core/graph_editor.h"

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "core/needed.h"
#include "core/op.h"

namespace winnow {

const char* name_of(Use use) {
  switch (use) {
    case Use::Train:
      return "training";
    case Use::Evaluate:
      return "evaluation";
    case Use::Probe:
      return "a probe";
    default:
      return "export";
  }
}

void GraphEditor::derive(ParamId weight, const std::function<ValueId(ValueId leaf)>& f) {
  const ValueId leaf = model_.param(weight).value;
  const NodeId before = model_.graph.node_count();
  model_.graph.redirect(leaf, f(leaf), before);
  model_.param(weight).derived = true;
}

void GraphEditor::splice(ValueId at, const std::function<ValueId(ValueId)>& block) {
  const NodeId before = model_.graph.node_count();
  const ValueId result = block(at);
  model_.graph.redirect(at, result, before);
  // The block lies between the region that ends here and the one that starts here.
  for (Region& region : model_.regions) {
    if (region.in == at) region.in = result;
  }
  if (model_.logits == at) model_.logits = result;
}

void GraphEditor::replace_region(const Region& region, const std::function<ValueId(ValueId in)>& body) {
  const ValueId old = region.out;  // `region` may be one of those renamed below
  const NodeId before = model_.graph.node_count();
  const ValueId result = body(region.in);
  model_.graph.redirect(old, result, before);
  for (Region& each : model_.regions) {
    if (each.in == old) each.in = result;
    if (each.out == old) each.out = result;
  }
  if (model_.logits == old) model_.logits = result;
  retire_unread();
}

void GraphEditor::add_loss(ExtraLoss loss) {
  const ValueInfo& info = model_.graph.value(loss.value);
  if (info.shape != Shape{} || info.dtype != DType::F32) {
    fail(ErrorKind::Internal, "loss '{}' is {} {}, not one f32 number", loss.name, info.shape.text(),
         name_of(info.dtype));
  }
  if (std::ranges::any_of(model_.losses, [&](const ExtraLoss& other) { return other.name == loss.name; })) {
    fail(ErrorKind::Internal, "model '{}' has two losses named '{}'", model_.name, loss.name);
  }
  model_.losses.push_back(std::move(loss));
}

void GraphEditor::require_training(std::string_view what) const {
  if (use_ == Use::Train) return;
  fail(ErrorKind::Internal, "{} belong to the graph of training, this is that of {}", what, name_of(use_));
}

ValueId GraphEditor::labels() {
  require_training("labels");
  if (model_.labels == kNoValue) {
    model_.labels = model_.graph.input("labels", {model_.graph.value(model_.input).shape[0]}, DType::I32);
  }
  return model_.labels;
}

std::vector<ValueId> GraphEditor::learn_from(const Needed& teacher,
                                             std::function<std::vector<TaughtValue>(GraphEditor&)> values) {
  require_training("a teacher's values");
  if (model_.teaching) fail(ErrorKind::Settings, "two methods have a teacher: a network learns from one");
  const Shape& images = model_.graph.value(model_.input).shape;
  Model other = teacher.build(images[0], model_.graph.value(model_.logits).dtype);
  if (const Shape& own = other.graph.value(other.input).shape; own != images) {
    fail(ErrorKind::Settings, "{} cannot teach: it takes batches of images {}, here they are {}", teacher.trial,
         own.text(), images.text());
  }
  GraphEditor editor(other, train_, Use::Evaluate);
  std::vector<ValueId> inputs;
  for (const TaughtValue& taught : values(editor)) {
    const ValueInfo& info = other.graph.value(taught.value);
    if (taught.mean_over_ranks && (info.shape != Shape{} || info.dtype != DType::F32)) {
      fail(ErrorKind::Internal, "'{}' is {} {}; a mean over ranks is of one f32 number", info.name, info.shape.text(),
           name_of(info.dtype));
    }
    inputs.push_back(model_.graph.input(fmt::format("teacher/{}", inputs.size()), info.shape, info.dtype));
  }
  model_.teaching = Teaching{.teacher = &teacher, .values = std::move(values), .inputs = inputs};
  return inputs;
}

void GraphEditor::observe(Observed observed) {
  const ValueInfo& info = model_.graph.value(observed.value);
  const std::int64_t rows = model_.graph.value(model_.input).shape[0];
  if (info.shape != Shape{rows} || info.dtype != DType::F32) {
    fail(ErrorKind::Internal, "observed '{}' is {} {}, not one f32 number an example", observed.name, info.shape.text(),
         name_of(info.dtype));
  }
  if (use_ != Use::Evaluate) {
    fail(ErrorKind::Internal, "'{}' is observed in the graph of {}; only evaluation looks", observed.name,
         name_of(use_));
  }
  if (std::ranges::any_of(model_.observed, [&](const Observed& other) { return other.name == observed.name; })) {
    fail(ErrorKind::Internal, "model '{}' has two observed values named '{}'", model_.name, observed.name);
  }
  model_.observed.push_back(std::move(observed));
}

void GraphEditor::retire_unread() {
  std::vector<char> read(model_.graph.value_count(), 0), live(model_.graph.value_count(), 0);
  const auto mark = [](std::vector<char>& values, const Node& node) {
    for (const ValueId id : node.in) {
      if (id != kNoValue) values[static_cast<std::size_t>(id)] = 1;
    }
  };
  for (const Node& node : model_.graph.nodes()) mark(read, node);
  std::vector<ValueId> ends{model_.logits};
  for (const ExtraLoss& loss : model_.losses) ends.push_back(loss.value);
  for (const NodeId at : model_.graph.schedule(ends)) mark(live, model_.graph.nodes()[at]);
  for (ParamSpec& spec : model_.params) {
    const auto leaf = static_cast<std::size_t>(spec.value);
    // A parameter that no node has read so far is one that its method is about to use.
    if (read[leaf] != 0 && live[leaf] == 0) spec.retired = true;
  }
}

}  // namespace winnow
