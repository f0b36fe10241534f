// A compiled graph: one flat list of kernels over one planned block of memory. Made once, run many
// times without allocating. Owns its memory and kernels; borrows bound memory. One thread runs it at a time.
//
// On a device a run is queued, not waited for; the second run with the same bound memory is recorded, and those after it
// are replayed, which costs the host one call, with what watchers queue. So nothing that changes from run to run is an
// argument: it is fed.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/graph.h"
#include "core/node_work.h"
#include "core/op.h"
#include "core/run_context.h"

namespace winnow {

struct Binding {
  ValueId value;
  void* data;  // of the value's type and shape; may be null for a leaf that is bound later
  bool operator==(const Binding&) const = default;
};

class Program {
 public:
  // Computes `outputs`. Bound values live in the caller's memory; other outputs stay valid until
  // the next run. Every leaf the outputs depend on must be bound.
  // A node whose op has no kernel for the device: Error{Internal} that names both. Programs of one context share a run state.
  Program(const Graph& graph, std::span<const ValueId> outputs, std::span<const Binding> bindings, RunContext context);
  ~Program();
  Program(Program&&) noexcept;
  Program& operator=(Program&&) noexcept;

  // Takes the real attributes of a graph that is the program's own but for them (Graph::same_but_reals).
  void set_reals(const Graph& graph);
  void bind(ValueId leaf, void* data);
  // A leaf that changes from run to run (a batch), in the host's memory. What a recorded program reads must not move, so on
  // a device the bytes are copied into the leaf's own memory, in the order of the stream; the CPU's programs are not
  // recorded, so there the leaf reads `data` itself, which must stay as it is until the run is over.
  void feed(ValueId leaf, void* data);
  // Takes the device's memory of leaves that will be fed, which feed() takes else.
  void prepare_to_feed(std::span<const ValueId> leaves);
  // Where a device reads a leaf that is fed, for who computes it there.
  std::byte* fed_memory(ValueId leaf);
  // Work of others that belongs to a run: it is queued, and recorded, before the first step and behind all that the run and
  // its watchers queue. `places`: the memory that it goes over, since one elsewhere is another recording.
  struct Beside {
    std::function<void()> before, after;
    std::vector<const void*> places;
  };
  // On the CPU it ends with check().
  void run(const RunFeed& feed, const Beside& beside);
  void run(const RunFeed& feed = {}) { run(feed, {}); }
  // Throws Error{Input} for input that a run has marked as wrong. The host calls it where it reads results anyway.
  void check();
  // What is recorded is gone; the next runs are recorded anew.
  void forget_recordings();
  const RunContext& context() const;
  // Calls `ready(value)` during run() as soon as each of `values` is final, on a device: queued; used to overlap communication.
  // Who queues work of its own there and can have it recorded says so with `queues`.
  struct Queues {
    std::function<void()> last;  // called when all of the run is queued; other queues come together here
    // What is queued is the same whenever this object is. A recording is for the object itself: one that is gone does not
    // come again, whatever lies at its address.
    std::function<std::shared_ptr<const void>()> plan;
  };
  void watch(std::span<const ValueId> values, std::function<void(ValueId)> ready, std::optional<Queues> queues = {});
  TensorView view(ValueId value) const;  // in the memory of the device
  std::size_t value_count() const;
  // Of a value to the host; on a device after all that was queued.
  void read(ValueId value, std::span<std::byte> to) const;
  template <class T>
  T scalar(ValueId value) const {
    T number;
    read(value, std::as_writable_bytes(std::span(&number, 1)));
    return number;
  }

  std::size_t arena_bytes() const;  // planned memory, scratch and kernels' own packed copies not counted
  std::size_t scratch_bytes() const;
  std::int64_t macs() const;
  // Seconds by node since the last call with on = true; measuring costs two clock reads a node. Of nodes that run together the
  // first one has all of it.
  void profile(bool on);
  struct NodeTime {
    std::string op, name;
    double seconds;
    std::int64_t macs;
  };
  std::vector<NodeTime> times() const;

  // On a dry device (kernels/dry.h): what each node queues in a run. Of nodes that run together the first one has the launches.
  std::vector<NodeWork> dry_run();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace winnow
