#include "tests/core/node_run.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

namespace winnow::test {
namespace {

constexpr std::size_t kGuard = 256;
constexpr auto kDirt = std::byte{0xff};  // what memory holds before: NaN in every type

bool same_bytes(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Tensor& x, const Tensor& y) {
    const TensorView left = x.view(), right = y.view();
    if (left.data == nullptr || right.data == nullptr) return left.data == right.data;
    return left.bytes() == right.bytes() && std::memcmp(left.data, right.data, left.bytes()) == 0;
  });
}

TensorView view_of(const Tensor& tensor, const ValueInfo& info) {
  return info.shape.rank() == 0 ? TensorView{} : tensor.view();
}

// As large as a kernel asked for, and a guard that it must leave alone.
class GuardedScratch {
 public:
  explicit GuardedScratch(std::size_t bytes) : bytes_(bytes), block_(allocate_host(bytes + kGuard)) {
    std::fill_n(block_.get(), bytes + kGuard, kDirt);
  }
  ~GuardedScratch() {
    EXPECT_TRUE(std::all_of(block_.get() + bytes_, block_.get() + bytes_ + kGuard, [](std::byte b) {
      return b == kDirt;
    })) << "wrote behind its scratch";
  }
  GuardedScratch(const GuardedScratch&) = delete;
  GuardedScratch& operator=(const GuardedScratch&) = delete;
  std::byte* data() { return block_.get(); }

 private:
  std::size_t bytes_;
  HostBlock block_;
};

}  // namespace

bool NodeRun::Result::operator==(const Result& other) const {
  return same_bytes(out, other.out) && same_bytes(in, other.in) && status.not_finite == other.status.not_finite &&
         status.since == other.status.since;
}

NodeRun::NodeRun(const Node& node, std::vector<ValueInfo> in_info, std::vector<ValueInfo> out_info,
                 std::vector<Tensor> in)
    : node_(node), in_info_(std::move(in_info)), out_info_(std::move(out_info)), in_(std::move(in)) {}

void NodeRun::leave_out(std::size_t i) {
  in_info_.at(i) = {};
  in_.at(i) = {};
}

bool NodeRun::can_be_in_place() const {
  const int at = find_op(node_.op).inplace;
  return at >= 0 && in_.at(static_cast<std::size_t>(at)).view().bytes() ==
                        static_cast<std::size_t>(out_info_.at(0).shape.numel() * size_of(out_info_.at(0).dtype));
}

NodeRun::Result NodeRun::run(const KernelMaker& maker, const RunFeed& feed, How how) const {
  Result result;
  std::vector<TensorView> in, out;
  for (std::size_t i = 0; i < in_.size(); ++i) {
    result.in.push_back(in_info_[i].shape.rank() == 0 ? Tensor{} : in_[i].clone());
    in.push_back(view_of(result.in.back(), in_info_[i]));
  }
  for (const ValueInfo& info : out_info_) {
    result.out.emplace_back(info.dtype, info.shape);
    out.push_back(result.out.back().view());
    std::fill_n(static_cast<std::byte*>(out.back().data), out.back().bytes(), kDirt);
  }
  if (how.in_place) out[0].data = in.at(static_cast<std::size_t>(find_op(node_.op).inplace)).data;

  std::vector<double> reals;
  for (const auto& [name, value] : node_.attrs.reals()) reals.push_back(value);
  const auto kernel = maker({node_, in_info_, out_info_, how.threads, reals.data()});
  GuardedScratch scratch(kernel->scratch_bytes());
  RunState state;
  state.feed = feed;
  const Exec exec{Device::Cpu, how.threads, nullptr, scratch.data(), &state};
  kernel->run({in, out, exec});
  result.status = state.status;
  if (how.in_place) {
    const auto source = static_cast<std::size_t>(find_op(node_.op).inplace);
    std::swap(result.out[0], result.in[source]);
    result.in[source] = in_[source].clone();
  }
  return result;
}

std::vector<std::vector<double>> NodeRun::outputs_in_double() const {
  std::vector<std::vector<double>> values, results;
  std::vector<const double*> in;
  std::vector<double*> out;
  for (const Tensor& tensor : in_) values.push_back(numbers_of(tensor.view()));
  for (std::size_t i = 0; i < in_.size(); ++i) in.push_back(values[i].empty() ? nullptr : values[i].data());
  for (const ValueInfo& info : out_info_) results.emplace_back(static_cast<std::size_t>(info.shape.numel()), 0.0);
  for (std::vector<double>& result : results) out.push_back(result.data());
  find_op(node_.op).in_double({node_, in_info_, out_info_, in, out, 1});
  return results;
}

std::vector<NodeRun> node_runs(OpTrial& trial, const RunFeed& feed, bool (*wanted)(const OpDef&)) {
  if (find_op(trial.node().op).reverse && trial.has_gradient()) trial.differentiate_functional();
  std::vector<NodeRun> runs;
  const Graph& graph = trial.graph();
  for (const Node& node : graph.nodes()) {
    if (!wanted(find_op(node.op))) continue;
    std::vector<ValueId> values;
    for (const ValueId id : node.in) {
      if (id != kNoValue) values.push_back(id);
    }
    Program program = trial.compile(values, 1);
    program.run(feed);
    std::vector<ValueInfo> in_info, out_info;
    std::vector<Tensor> in;
    for (const ValueId id : node.in) {
      in_info.push_back(id == kNoValue ? ValueInfo{} : graph.value(id));
      in.push_back(id == kNoValue ? Tensor{} : Tensor(graph.value(id).dtype, graph.value(id).shape));
      if (id != kNoValue) std::memcpy(in.back().view().data, program.view(id).data, in.back().view().bytes());
    }
    for (const ValueId id : node.out) out_info.push_back(graph.value(id));
    runs.emplace_back(node, std::move(in_info), std::move(out_info), std::move(in));
  }
  return runs;
}

}  // namespace winnow::test
