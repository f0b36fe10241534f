#include "core/op.h"

#include <map>
#include <mutex>

#include "core/error.h"

namespace winnow {
namespace {

std::map<std::string, OpDef, std::less<>>& table() {
  static std::map<std::string, OpDef, std::less<>> ops;
  return ops;
}

const std::map<std::string, OpDef, std::less<>>& ready_table() {
  static std::once_flag once;
  std::call_once(once, define_all_ops);
  return table();
}

class PlainKernel final : public Kernel {
 public:
  PlainKernel(const KernelSpec& spec, void (*body)(const KernelSpec&, const KernelCall&))
      : node_(spec.node),
        in_(spec.in.begin(), spec.in.end()),
        out_(spec.out.begin(), spec.out.end()),
        threads_(spec.threads),
        reals_(spec.reals),
        body_(body) {}
  void run(const KernelCall& call) override { body_({node_, in_, out_, threads_, reals_}, call); }

 private:
  Node node_;
  std::vector<ValueInfo> in_, out_;
  int threads_;
  const double* reals_;
  void (*body_)(const KernelSpec&, const KernelCall&);
};

}  // namespace

KernelMaker plain_kernel(void (*run)(const KernelSpec&, const KernelCall&)) {
  return [run](const KernelSpec& spec) { return std::make_unique<PlainKernel>(spec, run); };
}

void ChannelTies::tie_dims(ValueId a, int dim_a, ValueId b, int dim_b) {
  if (a == kNoValue || b == kNoValue) return;
  for (std::int64_t i = 0; i < shape(a)[dim_a]; ++i) tie(a, dim_a, i, b, dim_b, i);
}

ChannelRule every_dim_alike() {
  return {.tie = [](ChannelTies& ties) {
    const ValueId out = ties.node().out[0];
    for (const ValueId in : ties.node().in) {
      for (int dim = 0; dim < ties.shape(out).rank(); ++dim) ties.tie_dims(in, dim, out, dim);
    }
  }};
}

ChannelRule last_dim_alike() {
  return {.tie = [](ChannelTies& ties) {
    for (const ValueId in : ties.node().in) ties.tie_dims(in, -1, ties.node().out[0], -1);
  }};
}

void define_op(OpDef op) {
  const std::string name = op.name;
  if (!table().emplace(name, std::move(op)).second) fail(ErrorKind::Internal, "op '{}' is defined twice", name);
}

const OpDef& find_op(std::string_view name) {
  const auto found = ready_table().find(name);
  if (found == ready_table().end()) fail(ErrorKind::Internal, "there is no op '{}'", name);
  return found->second;
}

std::vector<std::string> op_names() {
  std::vector<std::string> names;
  for (const auto& [name, op] : ready_table()) names.push_back(name);
  return names;
}

void require(bool holds, const std::string& reason) {
  if (!holds) throw Error(ErrorKind::Settings, reason);
}

}  // namespace winnow
