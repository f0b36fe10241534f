// Compact convolutional transformers: convolutions make the tokens, attention mixes them, and a weighted mean of the
// tokens is classified.
#include <cmath>

#include "core/error.h"
#include "experiments/models/families.h"

namespace winnow {
namespace {

struct CctDesign {
  std::int64_t layers, heads, mlp_ratio, width;
  std::int64_t convolutions;  // of the tokeniser, 3x3 each
  std::string name() const { return fmt::format("cct{}_3x{}", layers, convolutions); }
};

// The stream is {images, tokens, width}; linear layers see {images * tokens, width}.
class Transformer {
 public:
  Transformer(ModelBuilder& net, const CctDesign& design, const Settings& settings)
      : net_(net),
        design_(design),
        attention_dropout_(settings.real("attention_dropout")),
        drop_path_(settings.real("drop_path")) {}

  // The second norm replaces the stream, as in the authors' code: what follows is added to the normalised tokens.
  ValueId block(ValueId x, std::int64_t index) {
    const std::string name = fmt::format("block{}", index), prefix = name + ".";
    const double p =
        design_.layers == 1 ? 0 : drop_path_ * static_cast<double>(index) / static_cast<double>(design_.layers - 1);
    const ValueId in = x;
    const ValueId attended = attention(net_.layer_norm(x, prefix + "norm1"), prefix + "attention.");
    x = residual(x, attended, prefix + "attention", p);
    x = net_.layer_norm(x, prefix + "norm2");
    x = residual(x, mlp(x, prefix + "mlp."), prefix + "mlp", p);
    net_.region("transformer_block", name, 0, static_cast<int>(index), in, x);
    return x;
  }

  // The mean of the tokens with weights that a linear layer gives them.
  ValueId pooled(ValueId x) {
    const std::int64_t images = net_.shape(x)[0], tokens = net_.shape(x)[1];
    ValueId weights = net_.linear(rows(x, "pool.rows"), "pool", 1);
    weights = net_.op("softmax", {reshaped(weights, {images, 1, tokens}, "pool.scores")}, "pool.softmax");
    return reshaped(net_.op("matmul", {weights, x}, "pool.mean"), {images, design_.width}, "pool.out");
  }

  ValueId reshaped(ValueId x, std::vector<std::int64_t> shape, const std::string& name) {
    return net_.op("reshape", {x}, name, {{"shape", std::move(shape)}});
  }

 private:
  ValueId rows(ValueId x, const std::string& name) { return reshaped(x, {-1, design_.width}, name); }

  ValueId residual(ValueId x, ValueId branch, const std::string& name, double p) {
    const Shape& s = net_.shape(x);
    branch = reshaped(branch, {s[0], s[1], s[2]}, name + ".tokens");
    if (p > 0) branch = net_.op("drop_path", {branch}, name + ".drop_path", {{"p", p}});
    return net_.add(x, branch, name + ".add");
  }

  ValueId attention(ValueId x, const std::string& prefix) {
    const Shape s = net_.shape(x);
    const std::int64_t width = design_.width, head = width / design_.heads;
    const ValueId qkv = net_.linear(rows(x, prefix + "rows"), prefix + "qkv", 3 * width, false);
    const std::vector<ValueId> parts = net_.model().graph.emit(
        "split", {qkv}, {{"sizes", std::vector<std::int64_t>{width, width, width}}}, prefix + "split");
    const auto heads_first = [&](ValueId part, const std::string& name) {
      part = reshaped(part, {s[0], s[1], design_.heads, head}, prefix + name + ".heads");
      return net_.op("permute", {part}, prefix + name, {{"axes", std::vector<std::int64_t>{0, 2, 1, 3}}});
    };
    const ValueId q = heads_first(parts[0], "q"), k = heads_first(parts[1], "k"), v = heads_first(parts[2], "v");
    ValueId scores = net_.op("matmul", {q, k}, prefix + "scores",
                             {{"transpose_b", std::int64_t{1}}, {"scale", 1 / std::sqrt(static_cast<double>(head))}});
    scores = net_.op("softmax", {scores}, prefix + "softmax");
    scores = net_.dropout(scores, prefix + "dropout", attention_dropout_);
    ValueId mixed = net_.op("matmul", {scores, v}, prefix + "mix");
    mixed = net_.op("permute", {mixed}, prefix + "tokens_first", {{"axes", std::vector<std::int64_t>{0, 2, 1, 3}}});
    return net_.linear(rows(mixed, prefix + "mix.rows"), prefix + "proj", width);
  }

  ValueId mlp(ValueId x, const std::string& prefix) {
    x = net_.linear(rows(x, prefix + "rows"), prefix + "fc1", design_.mlp_ratio * design_.width);
    return net_.linear(net_.op("gelu", {x}, prefix + "gelu"), prefix + "fc2", design_.width);
  }

  ModelBuilder& net_;
  const CctDesign& design_;
  double attention_dropout_, drop_path_;
};

Model build_cct(const CctDesign& design, const Settings& settings, const DataShape& data, std::int64_t batch,
                DType compute) {
  Model model{.name = design.name()};
  if (data.height < 4 || data.width < 4) misfit(model.name, data, "a height and width of at least 4");
  ModelBuilder net(model);
  Transformer transformer(net, design, settings);
  ValueId x = net.input(data, batch, compute);
  for (std::int64_t i = 0; i < design.convolutions; ++i) {
    const std::string index = std::to_string(i + 1);
    x = net.conv2d(x, "conv" + index, i + 1 == design.convolutions ? design.width : 64, 3, 1, 1);
    x = net.max_pool(net.relu(x, "relu" + index), "pool" + index, 3, 2, 1);
  }
  // Truncated at two, which no draw of such a deviation reaches.
  net.weight_init({.kind = InitSpec::Kind::Normal, .value = 0.02});
  const std::int64_t tokens = net.shape(x)[1] * net.shape(x)[2];
  x = transformer.reshaped(x, {batch, tokens, design.width}, "tokens");
  if (settings.text("positions") == "learnable") {
    const ParamId positions = net.param({.name = "positions",
                                         .shape = {tokens, design.width},
                                         .role = ParamRole::Other,
                                         .init = {InitSpec::Kind::Normal, 0.2}});
    x = net.op("add_broadcast", {x, model.param(positions).value}, "positions.add");
  }
  for (std::int64_t i = 0; i < design.layers; ++i) x = transformer.block(x, i);
  x = transformer.pooled(net.layer_norm(x, "norm"));
  net.output(net.linear(x, "fc", data.classes));
  return model;
}

Setting rate(const char* key, const char* meaning) {
  return {.key = key,
          .kind = Setting::Kind::Real,
          .fallback = "0.1",
          .range = Range{0, 1, false, true},
          .meaning = meaning,
          .source = "SHI-Labs/Compact-Transformers"};
}

ModelDef of(const CctDesign& design) {
  return {{.name = design.name(),
           .schema = {rate("attention_dropout", "dropout rate of the attention's weights"),
                      rate("drop_path",
                           "rate at which the last block's branches are dropped for an example; earlier "
                           "ones less, in equal steps from 0"),
                      {.key = "positions",
                       .kind = Setting::Kind::Choice,
                       .fallback = "learnable",
                       .choices = {"learnable", "none"},
                       .meaning = "what is added to the tokens to say where they are",
                       .source = "Hassani et al. 2021"}},
           .meaning = fmt::format("compact convolutional transformer CCT-{}/3x{}: {} heads, {} channels", design.layers,
                                  design.convolutions, design.heads, design.width),
           .source = "Hassani et al. 2021 (arXiv 2104.05704), SHI-Labs/Compact-Transformers"},
          [design](const Settings& settings, const DataShape& data, std::int64_t batch, DType compute) {
            return build_cct(design, settings, data, batch, compute);
          }};
}

}  // namespace

std::vector<ModelDef> cct() {
  return {of({2, 2, 1, 128, 2}), of({4, 2, 1, 128, 2}), of({6, 4, 2, 256, 1}),
          of({6, 4, 2, 256, 2}), of({7, 4, 2, 256, 1}), of({7, 4, 2, 256, 2})};
}

}  // namespace winnow
