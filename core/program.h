// A compiled graph: one flat list of kernels over one planned block of memory. Made once, run many
// times without allocating. Owns its memory and kernels; borrows bound memory. One thread runs it at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/graph.h"
#include "core/op.h"

namespace winnow {

struct Binding {
  ValueId value;
  void* data;  // of the value's type and shape; may be null for a leaf that is bound later
};

class Program {
 public:
  // Computes `outputs`. Bound values live in the caller's memory; other outputs stay valid until
  // the next run. Every leaf the outputs depend on must be bound.
  // A node whose op has no kernel for `device`: Error{Internal} that names both; a device that this
  // build has no back end for: Error{Unavailable}. `state`: fixed memory that outlives the program,
  // for programs that share one; without it the program has its own.
  Program(const Graph& graph, std::span<const ValueId> outputs, std::span<const Binding> bindings, int threads,
          Device device = Device::Cpu, RunState* state = nullptr);
  ~Program();
  Program(Program&&) noexcept;
  Program& operator=(Program&&) noexcept;

  // Takes the real attributes of a graph that is the program's own but for them (Graph::same_but_reals).
  void set_reals(const Graph& graph);
  void bind(ValueId leaf, void* data);
  // A leaf that changes from run to run (a batch). What a recorded program reads must not move, so on a device the
  // bytes are copied into the leaf's own memory, in the order of the stream; the CPU's programs are not recorded,
  // so there the leaf reads `data` itself, which must stay as it is until the run is over.
  void feed(ValueId leaf, void* data) { bind(leaf, data); }
  // On the CPU it ends with check().
  void run(const RunFeed& feed = {});
  // Throws Error{Input} for input that a run has marked as wrong. The host calls it where it reads results anyway.
  void check();
  RunState& state();  // what kernels read and write
  // Calls `ready(value)` during run() as soon as each of `values` is final; used to overlap communication.
  void watch(std::span<const ValueId> values, std::function<void(ValueId)> ready);
  TensorView view(ValueId value) const;

  std::size_t arena_bytes() const;  // planned memory, scratch and kernels' own packed copies not counted
  std::size_t scratch_bytes() const;
  std::int64_t macs() const;
  // Seconds by node since the last call with on = true; measuring costs two clock reads a node.
  void profile(bool on);
  struct NodeTime {
    std::string op, name;
    double seconds;
    std::int64_t macs;
  };
  std::vector<NodeTime> times() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace winnow
