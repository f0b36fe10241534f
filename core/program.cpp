#include "core/program.h"

#include <algorithm>

#include "core/clock.h"
#include "core/error.h"
#include "core/memory_plan.h"

namespace winnow {
namespace {

constexpr std::size_t kUnset = static_cast<std::size_t>(-1);

struct Step {
  NodeId node;
  std::unique_ptr<Kernel> kernel;
  std::vector<TensorView> in, out;
  std::vector<ValueId> ready;  // watched values that this step finishes
  std::int64_t macs = 0;
  double seconds = 0;
  std::size_t reals = 0;  // where those of the node begin in the program's
};

// The maker of the node's kernel; throws if this program cannot run there.
const KernelMaker& kernel_maker(const Node& node, Device device) {
  const KernelMaker& maker = find_op(node.op).kernel.on(device);
  if (!maker) {
    fail(ErrorKind::Internal, "node '{}': op '{}' has no kernel for {}", node.name, node.op, name_of(device));
  }
  return maker;
}

}  // namespace

struct Program::Impl {
  std::vector<Step> steps;
  std::vector<Node> nodes;        // of the steps, for profiles
  std::vector<TensorView> views;  // by value
  std::vector<char> known;        // by value: has memory or a binding
  std::vector<double> reals;      // of all steps, where kernels read them
  HostBlock arena, scratch;
  RunState own_state;
  Exec exec;
  std::size_t arena_bytes = 0, scratch_bytes = 0;
  bool profiling = false;
  std::function<void(ValueId)> ready;

  void plan(const Graph& graph, const std::vector<NodeId>& order, std::span<const ValueId> outputs);
  void refresh(ValueId value);
};

// Lifetimes of all values the program computes itself; in-place ops join the block of their input.
void Program::Impl::plan(const Graph& graph, const std::vector<NodeId>& order, std::span<const ValueId> outputs) {
  const auto index = [](ValueId id) { return static_cast<std::size_t>(id); };
  std::vector<std::size_t> last_use(graph.value_count(), 0);
  for (std::size_t at = 0; at < order.size(); ++at) {
    for (const ValueId id : graph.nodes()[order[at]].in) {
      if (id != kNoValue) last_use[index(id)] = at;
    }
  }
  for (const ValueId id : outputs) last_use[index(id)] = order.size();

  std::vector<PlannedBlock> blocks;
  std::vector<std::size_t> block_of(graph.value_count(), kUnset);
  for (std::size_t at = 0; at < order.size(); ++at) {
    const Node& node = graph.nodes()[order[at]];
    const int inplace = find_op(node.op).inplace;
    for (std::size_t i = 0; i < node.out.size(); ++i) {
      const std::size_t id = index(node.out[i]);
      if (known[id]) continue;  // bound by the caller
      const std::size_t end = std::max(at, last_use[id]);
      if (i == 0 && inplace >= 0 && node.in.at(static_cast<std::size_t>(inplace)) != kNoValue) {
        const std::size_t source = index(node.in[static_cast<std::size_t>(inplace)]);
        const std::size_t block = block_of[source];
        if (block != kUnset && last_use[source] == at && blocks[block].last == at &&
            views[source].bytes() == views[id].bytes() &&
            std::count(node.in.begin(), node.in.end(), node.in[static_cast<std::size_t>(inplace)]) == 1) {
          blocks[block].last = end;
          block_of[id] = block;
          continue;
        }
      }
      block_of[id] = blocks.size();
      blocks.push_back({views[id].bytes(), at, end});
    }
  }
  arena_bytes = plan_memory(blocks);
  arena = allocate_host(arena_bytes);
  for (std::size_t id = 0; id < block_of.size(); ++id) {
    if (block_of[id] == kUnset) continue;
    views[id].data = arena.get() + blocks[block_of[id]].offset;
    known[id] = 1;
  }
}

void Program::Impl::refresh(ValueId value) {
  const TensorView& view = views[static_cast<std::size_t>(value)];
  for (std::size_t at = 0; at < steps.size(); ++at) {
    for (std::size_t i = 0; i < steps[at].in.size(); ++i) {
      if (nodes[at].in[i] == value) steps[at].in[i] = view;
    }
    for (std::size_t i = 0; i < steps[at].out.size(); ++i) {
      if (nodes[at].out[i] == value) steps[at].out[i] = view;
    }
  }
}

Program::Program(const Graph& graph, std::span<const ValueId> outputs, std::span<const Binding> bindings, int threads,
                 Device device, RunState* state)
    : impl_(std::make_unique<Impl>()) {
  Impl& impl = *impl_;
  for (std::size_t i = 0; i < graph.value_count(); ++i) {
    const ValueInfo& info = graph.value(ValueId(i));
    impl.views.push_back({nullptr, info.dtype, info.shape});
  }
  impl.known.assign(graph.value_count(), 0);
  for (const Binding& binding : bindings) {
    impl.views.at(static_cast<std::size_t>(binding.value)).data = binding.data;
    impl.known[static_cast<std::size_t>(binding.value)] = 1;
  }
  const std::vector<NodeId> order = graph.schedule(outputs);
  for (const NodeId at : order) {
    for (const ValueId id : graph.nodes()[at].in) {
      if (id != kNoValue && graph.producer(id) == nullptr && !impl.known[static_cast<std::size_t>(id)]) {
        fail(ErrorKind::Internal, "leaf '{}' of node '{}' is not bound", graph.value(id).name, graph.nodes()[at].name);
      }
    }
  }
  for (const NodeId at : order) kernel_maker(graph.nodes()[at], device);
  if (device != Device::Cpu) {
    fail(ErrorKind::Unavailable, "this build has no {} back end", name_of(device));
  }
  impl.plan(graph, order, outputs);
  std::vector<std::size_t> reals_at;
  for (const NodeId at : order) {
    reals_at.push_back(impl.reals.size());
    for (const auto& [name, value] : graph.nodes()[at].attrs.reals()) impl.reals.push_back(value);
  }

  for (const NodeId at : order) {
    const Node& node = graph.nodes()[at];
    const OpDef& op = find_op(node.op);
    std::vector<ValueInfo> in, out;
    Step step;
    step.node = at;
    step.reals = reals_at[impl.steps.size()];
    for (const ValueId id : node.in) {
      in.push_back(id == kNoValue ? ValueInfo{} : graph.value(id));
      step.in.push_back(id == kNoValue ? TensorView{} : impl.views[static_cast<std::size_t>(id)]);
    }
    for (const ValueId id : node.out) {
      out.push_back(graph.value(id));
      step.out.push_back(impl.views[static_cast<std::size_t>(id)]);
    }
    step.kernel = kernel_maker(node, device)({node, in, out, threads, impl.reals.data() + step.reals});
    if (op.macs) step.macs = op.macs(in, out, node.attrs);
    impl.scratch_bytes = std::max(impl.scratch_bytes, step.kernel->scratch_bytes());
    impl.nodes.push_back(node);
    impl.steps.push_back(std::move(step));
  }
  impl.scratch = allocate_host(impl.scratch_bytes);
  impl.exec = {device, threads, nullptr, impl.scratch.get(), state != nullptr ? state : &impl.own_state};
}

Program::~Program() = default;
Program::Program(Program&&) noexcept = default;
Program& Program::operator=(Program&&) noexcept = default;

void Program::set_reals(const Graph& graph) {
  for (const Step& step : impl_->steps) {
    std::size_t at = step.reals;
    for (const auto& [name, value] : graph.nodes().at(step.node).attrs.reals()) impl_->reals[at++] = value;
  }
}

void Program::bind(ValueId leaf, void* data) {
  TensorView& view = impl_->views.at(static_cast<std::size_t>(leaf));
  if (view.data == data) return;
  view.data = data;
  impl_->refresh(leaf);
}

void Program::run(const RunFeed& feed) {
  Impl& impl = *impl_;
  RunState& state = *impl.exec.run;
  state.feed = feed;
  state.status.stopped = state.status.not_finite;
  for (Step& step : impl.steps) {
    const double start = impl.profiling ? seconds_now() : 0;
    step.kernel->run({step.in, step.out, impl.exec});
    if (impl.profiling) step.seconds += seconds_now() - start;
    for (const ValueId id : step.ready) impl.ready(id);
  }
  check();
}

void Program::check() {
  const RunStatus found = impl_->exec.run->status;
  if (found.bad_label == RunStatus::kNoLabel) return;
  impl_->exec.run->status.bad_label = RunStatus::kNoLabel;  // said once
  for (const Step& step : impl_->steps) step.kernel->check(found);
}

RunState& Program::state() { return *impl_->exec.run; }

void Program::watch(std::span<const ValueId> values, std::function<void(ValueId)> ready) {
  impl_->ready = std::move(ready);
  for (std::size_t at = 0; at < impl_->steps.size(); ++at) {
    impl_->steps[at].ready.clear();
    for (const ValueId id : values) {
      const auto& out = impl_->nodes[at].out;
      if (std::find(out.begin(), out.end(), id) != out.end()) impl_->steps[at].ready.push_back(id);
    }
  }
}

TensorView Program::view(ValueId value) const { return impl_->views.at(static_cast<std::size_t>(value)); }
std::size_t Program::arena_bytes() const { return impl_->arena_bytes; }
std::size_t Program::scratch_bytes() const { return impl_->scratch_bytes; }

std::int64_t Program::macs() const {
  std::int64_t sum = 0;
  for (const Step& step : impl_->steps) sum += step.macs;
  return sum;
}

void Program::profile(bool on) {
  impl_->profiling = on;
  if (on) {
    for (Step& step : impl_->steps) step.seconds = 0;
  }
}

std::vector<Program::NodeTime> Program::times() const {
  std::vector<NodeTime> times;
  for (std::size_t at = 0; at < impl_->steps.size(); ++at) {
    times.push_back({impl_->nodes[at].op, impl_->nodes[at].name, impl_->steps[at].seconds, impl_->steps[at].macs});
  }
  return times;
}

}  // namespace winnow
