// Spectral wavelet dropout: in training, whole detail bands of the feature maps of chosen modules are dropped.
#include <algorithm>
#include <set>

#include "core/error.h"
#include "experiments/methods/registry.h"
#include "experiments/methods/toolkit/regions.h"

namespace winnow {
namespace {

bool is_convolution(const Graph& graph, NodeId at) { return graph.value(graph.nodes()[at].in[1]).shape.rank() == 4; }

class WaveletDropout final : public Method {
 public:
  explicit WaveletDropout(const Settings& settings)
      : p_(settings.real("p")),
        variant_(settings.text("variant")),
        modules_(settings.integers("modules")),
        bands_(settings.integers("bands")) {
    const std::string& where = settings.text("placement");
    before_ = where == "before" || (where == "auto" && variant_ == "2d");
  }

  Touches touches() const override { return {.structure = true}; }

  void edit(GraphEditor& editor) override {
    std::set<NodeId> convolutions;
    int last = 0;
    for (const Region& region : editor.model().regions) {
      last = std::max(last, region.stage + 1);
      if (std::ranges::count(modules_, region.stage + 1) == 0) continue;
      for (const NodeId at : layers_between(editor.graph(), region.in, region.out)) {
        if (is_convolution(editor.graph(), at)) convolutions.insert(at);
      }
    }
    for (const std::int64_t module : modules_) {
      if (module > last) {
        fail(ErrorKind::Settings, "method.modules: model '{}' has no module {}, it has {}", editor.model().name, module,
             last);
      }
    }
    if (p_ == 0 || bands_.empty()) return;
    for (const NodeId at : convolutions) {
      const std::string name = editor.graph().nodes()[at].name + ".wavelet_dropout";
      if (before_) {
        // Only this convolution reads the dropped maps; the shortcut and other branches keep theirs.
        const ValueId dropped = drop(editor, editor.graph().nodes()[at].in[0], name);
        editor.graph().node(at).in[0] = dropped;
      } else {
        editor.splice(editor.graph().nodes()[at].out[0], [&](ValueId x) { return drop(editor, x, name); });
      }
    }
  }

 private:
  ValueId drop(GraphEditor& editor, ValueId x, const std::string& name) const {
    return editor.graph().emit1("wavelet_dropout", {x}, {{"p", p_}, {"variant", variant_}, {"bands", bands_}}, name);
  }

  double p_;
  std::string variant_;
  std::vector<std::int64_t> modules_, bands_;
  bool before_;
};

}  // namespace

MethodDef wavelet_dropout() {
  using Kind = Setting::Kind;
  MethodDef def;
  def.name = "wavelet_dropout";
  def.meaning = "drops detail bands of a wavelet decomposition of the feature maps in training";
  def.source = "Spectral Wavelet Dropout, ICMLA 2024, arXiv 2409.18951";
  def.schema = {
      {.key = "p",
       .kind = Kind::Real,
       .fallback = "0.1",
       .range = Range{0, 1, false, true},
       .meaning = "probability that a band is dropped",
       .source = "arXiv 2409.18951"},
      {.key = "variant",
       .kind = Kind::Choice,
       .fallback = "1d",
       .choices = {"1d", "2d"},
       .meaning = "three levels on the flattened map, or one level on the two-dimensional map",
       .source = "arXiv 2409.18951",
       .read_when = {{unless("p", {"0"})}}},
      {.key = "modules",
       .kind = Kind::IntList,
       .fallback = "[4]",
       .range = Range{1, 16},
       .meaning = "the model's stages whose convolutions get it, counted from 1",
       .source = "arXiv 2409.18951 (4, for some networks 3)",
       .is_set = true},
      {.key = "bands",
       .kind = Kind::IntList,
       .fallback = "[1, 2, 3]",
       .range = Range{1, 3},
       .meaning = "bands that may be dropped; 1d: 1 is the finest; 2d: 1 LH, 2 HL, 3 HH",
       .source = "arXiv 2409.18951",
       .is_set = true,
       .read_when = {{unless("p", {"0"})}}},
      {.key = "placement",
       .kind = Kind::Choice,
       .fallback = "auto",
       .choices = {"auto", "after", "before"},
       .meaning = "after or before each convolution; auto: 1d after (CIFAR), 2d before",
       .source = "arXiv 2409.18951 (ImageNet 1d: before)",
       .read_when = {{unless("p", {"0"})}}},
  };
  def.make = [](const Settings& s) { return std::make_unique<WaveletDropout>(s); };
  def.example = {.model = "resnet20", .settings = {{"modules", "[2, 3]"}}};
  return def;
}

}  // namespace winnow
