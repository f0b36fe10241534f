// Born-again networks: a network is trained anew on the outputs of one that was trained before, which can be one of these
// itself. The teacher is in inference mode and sees the same augmented batch.
#include "core/error.h"
#include "core/needed.h"
#include "experiments/methods/registry.h"

namespace winnow {
namespace {

class BornAgain final : public Method {
 public:
  explicit BornAgain(const Settings& settings) : loss_(settings.text("loss")), labels_(settings.real("labels")) {}

  Touches touches() const override { return {}; }
  void take(const Needed& needed) override { teacher_ = &needed; }
  void forecast(MaskForecast& forecast, const Model&, const RunLength&) const override { forecast.forwards_beside = 1; }

  void edit(GraphEditor& editor) override {
    if (editor.use() != Use::Train || teacher_ == nullptr) return;
    if (loss_ == "cwtm") {
      weigh_by_confidence(editor);
    } else {
      imitate(editor);
    }
  }

 private:
  // Cross-entropy to the teacher's class probabilities; dkpp: in which those of all but its first choice are shuffled.
  void imitate(GraphEditor& editor) const {
    Graph& graph = editor.graph();
    const ValueId logits = editor.model().logits;
    ValueId outputs = editor.learn_from(
        *teacher_, [](GraphEditor& teacher) { return std::vector<TaughtValue>{{teacher.model().logits}}; })[0];
    if (graph.value(outputs).shape != graph.value(logits).shape) {
      fail(ErrorKind::Settings, "{} cannot teach: its scores of a batch are {}, here they are {}", teacher_->trial,
           graph.value(outputs).shape.text(), graph.value(logits).shape.text());
    }
    if (loss_ == "dkpp") outputs = graph.emit1("shuffle_others", {outputs}, {}, "born_again.shuffled");
    editor.weigh_labels(labels_);
    editor.add_loss(
        {.name = "born_again", .value = graph.emit1("soft_cross_entropy", {logits, outputs}, {}, "born_again")});
  }

  // Cross-entropy to the labels, each example by how sure of its first choice the teacher is, relative to the whole batch.
  void weigh_by_confidence(GraphEditor& editor) const {
    Graph& graph = editor.graph();
    const auto taught = editor.learn_from(*teacher_, [](GraphEditor& teacher) {
      Graph& other = teacher.graph();
      const auto rows = static_cast<double>(other.value(teacher.model().logits).shape[0]);
      const ValueId sure = other.emit1("max_probability", {teacher.model().logits}, {}, "born_again.sure");
      const ValueId sum = other.emit1("reduce_sum", {sure}, {}, "born_again.sum");
      return std::vector<TaughtValue>{{sure}, {other.scaled(sum, 1 / rows, "born_again.mean"), true}};
    });
    const ValueId weights = graph.emit1("divide_by", {taught[0], taught[1]}, {}, "born_again.weights");
    const auto loss = graph.emit("softmax_cross_entropy", {editor.model().logits, editor.labels(), weights},
                                 {{"label_smoothing", editor.train().real("label_smoothing")}}, "born_again");
    editor.weigh_labels(0);
    editor.add_loss({.name = "born_again", .value = loss[0]});
  }

  std::string loss_;
  double labels_;
  const Needed* teacher_ = nullptr;
};

}  // namespace

MethodDef born_again() {
  using Kind = Setting::Kind;
  MethodDef def;
  def.name = "born_again";
  def.meaning = "trains anew on the outputs of a trained network of the sweep; its own pupils are the next generation";
  def.source = "Furlanello et al. 2018, born-again neural networks";
  def.schema = {
      {.key = "teacher",
       .kind = Kind::Trial,
       .fallback = "dense",
       .meaning = "the trial to learn from: its label, or the name of its method",
       .source = "the same network, trained on labels"},
      {.key = "loss",
       .kind = Kind::Choice,
       .fallback = "ban",
       .choices = {"ban", "cwtm", "dkpp"},
       .meaning = "ban: cross-entropy to the teacher's class probabilities; cwtm: to the labels, each example weighted "
                  "by the teacher's largest probability, over the sum of the batch; dkpp: ban with all probabilities "
                  "but the largest permuted at random, anew for each example and step",
       .source = "Furlanello et al. 2018"},
      {.key = "labels",
       .kind = Kind::Real,
       .fallback = "0",
       .range = Range{0, 1e6},
       .meaning = "weight of the labels' cross-entropy beside that of the teacher's outputs, which is 1",
       .source = "0: BAN; 1: BAN+L",
       .read_when = {{unless("loss", {"cwtm"})}}},
  };
  def.overrides = {{"train.label_smoothing", {{where("method.labels", {"0"}), unless("method.loss", {"cwtm"})}}}};
  def.make = [](const Settings& s) { return std::make_unique<BornAgain>(s); };
  def.example = {.settings = {{"labels", "1"}}};
  return def;
}

}  // namespace winnow
