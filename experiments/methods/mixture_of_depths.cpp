// CNN mixture-of-depths: in every second block of a stage only the k most important channels of a
// sample go through a block of width k; the result is added to the first k channels.
#include <algorithm>

#include "core/error.h"
#include "experiments/methods/registry.h"

namespace winnow {
namespace {

bool is_block(const Region& region) {
  return region.kind == "basic_block" || region.kind == "bottleneck" || region.kind == "conv_bn_relu";
}

class MixtureOfDepths final : public Method {
 public:
  explicit MixtureOfDepths(const Settings& settings)
      : divisor_(settings.integer("divisor")),
        reduction_(settings.integer("reduction")),
        all_(settings.text("placement") == "all"),
        fusion_(settings.text("fusion")),
        inner_residual_(settings.flag("inner_residual")),
        post_relu_(settings.flag("post_relu")) {}

  Touches touches() const override { return {.structure = true}; }

  void edit(GraphEditor& editor) override {
    routed_ = 0;
    start_as_the_model(editor);
    for (std::size_t i = 0; i < editor.model().regions.size(); ++i) {
      const Region region = editor.model().regions[i];
      if (!is_block(region) || (!all_ && region.block % 2 == 0)) continue;
      const Shape in = editor.build().shape(region.in), out = editor.build().shape(region.out);
      if (in != out) continue;  // a block that changes the shape stays
      if (in[3] < divisor_) {
        fail(ErrorKind::Settings, "method.divisor: {} leaves no channel of the {} of block '{}'; it must be at most {}",
             divisor_, in[3], region.name, in[3]);
      }
      editor.replace_region(region, [&](ValueId x) { return routed_block(editor, region, x); });
      ++routed_;
    }
    if (routed_ == 0) {
      fail(ErrorKind::Settings,
           "method.name: mixture_of_depths finds no block to replace in model '{}': it needs "
           "residual blocks or VGG "
           "units that keep their shape",
           editor.model().name);
    }
  }

  void report(TrainState&, Facts& facts) const override { facts["method.routed_blocks"] = routed_; }

 private:
  // New layers are drawn as the model's own convolutions are.
  static void start_as_the_model(GraphEditor& editor) {
    for (const ParamSpec& spec : editor.model().params) {
      if (spec.role == ParamRole::Weight && spec.shape.rank() == 4) {
        return editor.build().weight_init({.kind = spec.init.kind, .value = spec.init.value});
      }
    }
  }

  ValueId routed_block(GraphEditor& editor, const Region& region, ValueId x) const {
    const std::string prefix = region.name + ".mod.";
    const std::int64_t k = editor.build().shape(x)[3] / divisor_;
    const ValueId scores = selector(editor, x, prefix);
    const ValueId index = editor.graph().emit1("top_channels", {scores}, {{"k", k}}, prefix + "top");
    const ValueId selected = editor.graph().emit1("gather_channels", {x, index}, {}, prefix + "gather");
    ValueId u = narrow_block(editor, region, selected, prefix, k);
    if (inner_residual_) u = editor.build().add(u, selected, prefix + "inner_add");
    const ValueId y =
        editor.graph().emit1("fuse_channels", {x, u, scores, index}, {{"fusion", fusion_}}, prefix + "fuse");
    return post_relu_ ? editor.build().relu(y, prefix + "fuse_relu") : y;
  }

  // Scores in f32 whatever the activations are: they decide an order.
  ValueId selector(GraphEditor& editor, ValueId x, const std::string& prefix) const {
    ModelBuilder& net = editor.build();
    const std::int64_t channels = net.shape(x)[3];
    ValueId s = net.global_avg_pool(x, prefix + "pool");
    if (editor.graph().value(s).dtype != DType::F32) {
      s = editor.graph().emit1("cast", {s}, {{"dtype", std::string("f32")}}, prefix + "pool.cast");
    }
    s = net.linear(s, prefix + "select1", std::max<std::int64_t>(1, channels / reduction_), false);
    s = net.relu(s, prefix + "select_relu");
    s = net.linear(s, prefix + "select2", channels, false);
    return editor.graph().emit1("sigmoid", {s}, {}, prefix + "scores");
  }

  static ValueId narrow_block(GraphEditor& editor, const Region& region, ValueId x, const std::string& prefix,
                              std::int64_t k) {
    struct Unit {
      std::int64_t channels, kernel;
    };
    const std::int64_t inner = std::max<std::int64_t>(1, k / 4);
    std::vector<Unit> units = {{k, 3}, {k, 3}};
    if (region.kind == "bottleneck") units = {{inner, 1}, {inner, 3}, {k, 1}};
    if (region.kind == "conv_bn_relu") units = {{k, 3}};
    ModelBuilder& net = editor.build();
    for (std::size_t i = 0; i < units.size(); ++i) {
      const std::string number = std::to_string(i + 1);
      x = net.conv2d(x, prefix + "conv" + number, units[i].channels, units[i].kernel, 1, units[i].kernel / 2);
      x = net.batch_norm(x, prefix + "bn" + number);
      if (i + 1 < units.size() || region.kind == "conv_bn_relu") x = net.relu(x, prefix + "relu" + number);
    }
    return x;
  }

  std::int64_t divisor_, reduction_;
  bool all_;
  std::string fusion_;
  bool inner_residual_, post_relu_;
  int routed_ = 0;
};

}  // namespace

MethodDef mixture_of_depths() {
  using Kind = Setting::Kind;
  MethodDef def;
  def.name = "mixture_of_depths";
  def.meaning = "every second block processes only the channels a selector picks for the sample";
  def.source = "CNN Mixture-of-Depths, ACCV 2024, arXiv 2409.17016";
  def.schema = {
      {.key = "divisor",
       .kind = Kind::Int,
       .fallback = "64",
       .range = Range{1, 4096},
       .meaning = "c: k = floor(C / c) of C channels are processed",
       .source = "arXiv 2409.17016 (ResNet and VGG 64, range 2 to 64)"},
      {.key = "reduction",
       .kind = Kind::Int,
       .fallback = "16",
       .range = Range{1, 4096},
       .meaning = "r: the selector's hidden layer has floor(C / r) units",
       .source = "arXiv 2409.17016"},
      {.key = "placement",
       .kind = Kind::Choice,
       .fallback = "alternate",
       .choices = {"alternate", "all"},
       .meaning = "blocks 1, 3, 5, ... of a stage, or all that keep their shape",
       .source = "arXiv 2409.17016"},
      {.key = "fusion",
       .kind = Kind::Choice,
       .fallback = "first_k",
       .choices = {"first_k", "last_k", "original_positions"},
       .meaning = "the channels to which the result is added",
       .source = "arXiv 2409.17016"},
      {.key = "inner_residual",
       .kind = Kind::Bool,
       .fallback = "false",
       .meaning = "adds the selected channels to the narrow block's result before it is scaled",
       .source = "ours: false, the paper adds the result without further adjustment"},
      {.key = "post_relu",
       .kind = Kind::Bool,
       .fallback = "false",
       .meaning = "a ReLU after the result is added, as behind an ordinary residual block",
       .source = "ours: false, the paper adds the result without further adjustment"},
  };
  def.make = [](const Settings& s) { return std::make_unique<MixtureOfDepths>(s); };
  def.example = {.model = "resnet20", .settings = {{"divisor", "4"}}};
  return def;
}

}  // namespace winnow
