#include "core/program.h"

#include <algorithm>
#include <map>

#include "core/clock.h"
#include "core/error.h"
#include "core/memory.h"
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

// Steps that run together.
struct StepGroup {
  std::size_t first, last;      // steps first .. last-1
  std::vector<NodeCall> calls;  // of each
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
  std::vector<StepGroup> groups;
  std::vector<Node> nodes;        // of the steps, for profiles
  std::vector<TensorView> views;  // by value
  std::vector<char> known;        // by value: has memory or a binding
  std::vector<double> reals;      // of all steps; kernels read them in real_memory
  Memory arena, scratch, real_memory;
  RunContext context;
  Exec exec;
  std::size_t arena_bytes = 0, scratch_bytes = 0;
  bool profiling = false;
  std::function<void(ValueId)> ready;
  std::optional<Queues> queues;  // of whoever watches
  // Of a device.
  std::vector<ValueId> leaves;    // what bind() can change
  std::map<ValueId, Memory> fed;  // where fed leaves lie
  struct Recorded {
    std::vector<const void*> bound;                  // where the leaves were, and Beside::places
    std::weak_ptr<const void> plan;                  // of the watcher, whose memory is recorded too; null: nobody's
    std::unique_ptr<Recording> recording = nullptr;  // null: it ran once
  };
  std::vector<Recorded> recorded;

  explicit Impl(RunContext where) : context(std::move(where)) {}
  void group();
  void plan(const Graph& graph, std::span<const ValueId> outputs);
  void place();
  void refresh(ValueId value);
  void run_group(const StepGroup& group) {
    if (group.calls.size() == 1) return group.calls[0].kernel.run(group.calls[0].call);
    group.calls[0].kernel.run_together(group.calls);
  }
  void store_reals();
  void run_steps(const Beside& beside);
  void run_queued(const Beside& beside);
  bool is_watched() const {
    return std::ranges::any_of(steps, [](const Step& step) { return !step.ready.empty(); });
  }
};

// Neighbours whose op runs together on a device, where none reads what another one of them computes.
void Program::Impl::group() {
  for (std::size_t at = 0; at < steps.size(); ++at) {
    const auto reads = [&](std::size_t before) {
      return std::ranges::any_of(nodes[at].in, [&](ValueId id) {
        return id != kNoValue && std::ranges::find(nodes[before].out, id) != nodes[before].out.end();
      });
    };
    bool joins = at > 0 && context.stream() && nodes[at].op == nodes[at - 1].op && steps[at].kernel->runs_together();
    for (std::size_t before = joins ? groups.back().first : at; joins && before < at; ++before) joins = !reads(before);
    if (!joins) groups.push_back({.first = at, .last = at, .calls = {}});
    groups.back().last = at + 1;
  }
}

// Lifetimes of all values the program computes itself, in groups of steps; in-place ops join the block of their input.
void Program::Impl::plan(const Graph& graph, std::span<const ValueId> outputs) {
  const auto index = [](ValueId id) { return static_cast<std::size_t>(id); };
  std::vector<std::size_t> last_use(graph.value_count(), 0);
  for (std::size_t at = 0; at < groups.size(); ++at) {
    for (std::size_t step = groups[at].first; step < groups[at].last; ++step) {
      for (const ValueId id : nodes[step].in) {
        if (id != kNoValue) last_use[index(id)] = at;
      }
    }
  }
  for (const ValueId id : outputs) last_use[index(id)] = groups.size();

  std::vector<PlannedBlock> blocks;
  std::vector<std::size_t> block_of(graph.value_count(), kUnset);
  for (std::size_t at = 0; at < groups.size(); ++at) {
    const bool alone = groups[at].last - groups[at].first == 1;
    for (std::size_t step = groups[at].first; step < groups[at].last; ++step) {
      const Node& node = nodes[step];
      const int inplace = alone ? find_op(node.op).inplace : -1;
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
  }
  arena_bytes = plan_memory(blocks);
  arena = Memory(context.stream(), arena_bytes);
  for (std::size_t id = 0; id < block_of.size(); ++id) {
    if (block_of[id] == kUnset) continue;
    views[id].data = arena.get() + blocks[block_of[id]].offset;
    known[id] = 1;
  }
}

// Steps are told where their values lie.
void Program::Impl::place() {
  for (std::size_t at = 0; at < steps.size(); ++at) {
    for (const ValueId id : nodes[at].in) {
      steps[at].in.push_back(id == kNoValue ? TensorView{} : views[static_cast<std::size_t>(id)]);
    }
    for (const ValueId id : nodes[at].out) steps[at].out.push_back(views[static_cast<std::size_t>(id)]);
  }
  for (StepGroup& group : groups) {
    for (std::size_t at = group.first; at < group.last; ++at) {
      group.calls.push_back({*steps[at].kernel, {steps[at].in, steps[at].out, exec}});
    }
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

// Real attributes of all steps go to where kernels read them.
void Program::Impl::store_reals() { context.write(real_memory.get(), reals.data(), reals.size() * sizeof(double)); }

Program::Program(const Graph& graph, std::span<const ValueId> outputs, std::span<const Binding> bindings,
                 RunContext context)
    : impl_(std::make_unique<Impl>(std::move(context))) {
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
  const Device device = impl.context.device();
  const int threads = impl.context.threads();
  for (const NodeId at : order) kernel_maker(graph.nodes()[at], device);
  for (std::size_t i = 0; i < graph.value_count(); ++i) {
    if (graph.producer(ValueId(i)) == nullptr) impl.leaves.push_back(ValueId(i));
  }
  std::vector<std::size_t> reals_at;
  for (const NodeId at : order) {
    reals_at.push_back(impl.reals.size());
    for (const auto& [name, value] : graph.nodes()[at].attrs.reals()) impl.reals.push_back(value);
  }
  impl.real_memory = Memory(impl.context.stream(), impl.reals.size() * sizeof(double));
  impl.store_reals();
  const auto* reals = reinterpret_cast<const double*>(impl.real_memory.get());

  for (const NodeId at : order) {
    const Node& node = graph.nodes()[at];
    const OpDef& op = find_op(node.op);
    std::vector<ValueInfo> in, out;
    Step step;
    step.node = at;
    step.reals = reals_at[impl.steps.size()];
    for (const ValueId id : node.in) in.push_back(id == kNoValue ? ValueInfo{} : graph.value(id));
    for (const ValueId id : node.out) out.push_back(graph.value(id));
    step.kernel = kernel_maker(node, device)({node, in, out, threads, reals + step.reals, device});
    if (op.macs) step.macs = op.macs(in, out, node.attrs);
    impl.scratch_bytes = std::max(impl.scratch_bytes, step.kernel->scratch_bytes());
    impl.nodes.push_back(node);
    impl.steps.push_back(std::move(step));
  }
  impl.group();
  impl.plan(graph, outputs);
  impl.scratch = Memory(impl.context.stream(), impl.scratch_bytes);
  impl.exec = {device, threads, impl.context.stream() ? impl.context.stream()->queue() : nullptr, impl.scratch.get(),
               impl.context.state()};
  impl.place();
}

Program::~Program() = default;
Program::Program(Program&&) noexcept = default;
Program& Program::operator=(Program&&) noexcept = default;

void Program::set_reals(const Graph& graph) {
  for (const Step& step : impl_->steps) {
    std::size_t at = step.reals;
    for (const auto& [name, value] : graph.nodes().at(step.node).attrs.reals()) impl_->reals[at++] = value;
  }
  impl_->store_reals();
}

void Program::bind(ValueId leaf, void* data) {
  TensorView& view = impl_->views.at(static_cast<std::size_t>(leaf));
  if (view.data == data) return;
  view.data = data;
  impl_->refresh(leaf);
}

void Program::feed(ValueId leaf, void* data) {
  if (!impl_->context.stream()) return bind(leaf, data);
  impl_->context.write(fed_memory(leaf), data, view(leaf).bytes());
}

void Program::prepare_to_feed(std::span<const ValueId> leaves) {
  if (!impl_->context.stream()) return;
  for (const ValueId leaf : leaves) fed_memory(leaf);
}

std::byte* Program::fed_memory(ValueId leaf) {
  const std::size_t bytes = view(leaf).bytes();
  Memory& memory = impl_->fed[leaf];
  if (memory.bytes() != bytes) memory = Memory(impl_->context.stream(), bytes);
  bind(leaf, memory.get());
  return memory.get();
}

void Program::Impl::run_steps(const Beside& beside) {
  if (beside.before) beside.before();
  for (const StepGroup& group : groups) {
    const double start = profiling ? seconds_now() : 0;
    run_group(group);
    if (profiling) {
      if (context.stream()) context.stream()->wait();
      steps[group.first].seconds += seconds_now() - start;
    }
    for (std::size_t at = group.first; at < group.last; ++at) {
      for (const ValueId id : steps[at].ready) ready(id);
    }
  }
  if (queues) queues->last();
  if (beside.after) beside.after();
}

// The first run with its leaves where they are now is queued kernel by kernel, the second recorded. A program has few such
// places: the weights of training and, of an optimiser of two passes, its point; masks that come and go; and what a watcher
// queues for these masks.
void Program::Impl::run_queued(const Beside& beside) {
  constexpr std::size_t kMostRecordings = 4;
  if (profiling || (is_watched() && !queues)) return run_steps(beside);
  const std::shared_ptr<const void> plan = queues ? queues->plan() : nullptr;
  std::vector<const void*> bound = beside.places;
  for (const ValueId leaf : leaves) bound.push_back(views[static_cast<std::size_t>(leaf)].data);
  const auto same = [&](const Recorded& each) {
    return !each.plan.owner_before(plan) && !plan.owner_before(each.plan) && each.bound == bound;
  };
  const auto found = std::ranges::find_if(recorded, same);
  if (found == recorded.end()) {
    if (recorded.size() == kMostRecordings) recorded.erase(recorded.begin());
    recorded.push_back({std::move(bound), plan});
    return run_steps(beside);
  }
  if (!found->recording) found->recording = context.stream()->record([&] { run_steps(beside); });
  found->recording->replay();
}

void Program::run(const RunFeed& feed, const Beside& beside) {
  impl_->context.start(feed);
  if (impl_->context.stream()) return impl_->run_queued(beside);
  impl_->run_steps(beside);
  check();
}

void Program::check() {
  RunStatus found = impl_->context.status();
  if (found.bad_label == RunStatus::kNoLabel) return;
  RunStatus said = found;
  said.bad_label = RunStatus::kNoLabel;  // once
  impl_->context.set_status(said);
  for (const Step& step : impl_->steps) step.kernel->check(found);
}

void Program::forget_recordings() { impl_->recorded.clear(); }

const RunContext& Program::context() const { return impl_->context; }

void Program::watch(std::span<const ValueId> values, std::function<void(ValueId)> ready, std::optional<Queues> queues) {
  impl_->ready = std::move(ready);
  impl_->queues = std::move(queues);
  for (std::size_t at = 0; at < impl_->steps.size(); ++at) {
    impl_->steps[at].ready.clear();
    for (const ValueId id : values) {
      const auto& out = impl_->nodes[at].out;
      if (std::find(out.begin(), out.end(), id) != out.end()) impl_->steps[at].ready.push_back(id);
    }
  }
}

void Program::read(ValueId value, std::span<std::byte> to) const {
  const TensorView from = view(value);
  if (from.bytes() != to.size()) {
    fail(ErrorKind::Internal, "{} bytes are read of a value of {}", to.size(), from.bytes());
  }
  impl_->context.read(to.data(), from.data, to.size());
}

TensorView Program::view(ValueId value) const { return impl_->views.at(static_cast<std::size_t>(value)); }
std::size_t Program::value_count() const { return impl_->views.size(); }
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

std::vector<NodeWork> Program::dry_run() {
  if (impl_->exec.device != Device::Dry) fail(ErrorKind::Internal, "a dry run of a program that is for a device");
  auto& log = *static_cast<dry::Log*>(impl_->exec.stream);
  std::vector<NodeWork> all;
  for (const StepGroup& group : impl_->groups) {
    log.take();
    impl_->run_group(group);
    const std::vector<dry::Launch> launches = log.take();
    for (std::size_t at = group.first; at < group.last; ++at) {
      const Step& step = impl_->steps[at];
      all.push_back(node_work(impl_->nodes[at], step.in, step.out, launches, at == group.first));
      all.back().macs = step.macs;
      all.back().is_layer = find_op(impl_->nodes[at].op).role == OpRole::Layer;
    }
  }
  return all;
}

}  // namespace winnow
