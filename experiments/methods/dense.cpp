#include "experiments/methods/registry.h"

namespace winnow {
namespace {

class Dense final : public Method {
 public:
  Touches touches() const override { return {}; }
};

}  // namespace

MethodDef dense() {
  MethodDef def;
  def.name = "dense";
  def.meaning = "ordinary training of every weight: the reference of all comparisons";
  def.source = "none";
  def.make = [](const Settings&) { return std::make_unique<Dense>(); };
  return def;
}

}  // namespace winnow
