// What the handles of streams, events and graphs stand for. Plain records, owned by Machine (a work list keeps a stream, an
// event's moment or a graph alive as long as it needs it) and locked with it.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <thread>
#include <vector>

#include "tests/emulator/work.h"

namespace winnow::emulator {

// A place in the order of a stream that the device has passed or not.
struct Moment {
  bool reached = false;
};

struct GraphNode {
  Work work;
  std::vector<std::size_t> after;
};
struct Graph {
  std::vector<GraphNode> nodes;
};

// A capture that began on `origin`. `broken`: an illegal call was made, so that it can only be ended.
struct Capture {
  CUstream_st* origin;
  std::thread::id thread;
  std::shared_ptr<Graph> graph = std::make_shared<Graph>();
  bool broken = false, ended = false;
};

// One thing queued: a graph, which may be of one piece of work, or of none for the mark of an event. Runs once `after` is reached;
// then `reached` is.
struct Queued {
  std::shared_ptr<const Graph> graph = std::make_shared<Graph>();
  std::shared_ptr<const Moment> after{};
  std::shared_ptr<Moment> reached{};
  std::vector<bool> done{};  // of the graph's nodes
};

}  // namespace winnow::emulator

struct CUstream_st {
  int device;
  std::deque<winnow::emulator::Queued> queue{};
  std::shared_ptr<winnow::emulator::Capture> capture{};
  std::vector<std::size_t> tail{};  // nodes of the capture that the next one comes after
};

struct CUevent_st {
  std::shared_ptr<winnow::emulator::Moment> moment{};    // of the last record; null before it
  std::shared_ptr<winnow::emulator::Capture> capture{};  // in which it was recorded last
  std::vector<std::size_t> tail{};
  bool blocking = false;
};

struct CUgraph_st {
  std::shared_ptr<const winnow::emulator::Graph> graph;
};

struct CUgraphExec_st {
  std::shared_ptr<const winnow::emulator::Graph> graph;
  std::shared_ptr<winnow::emulator::Moment> last{};  // launches of one graph come one after another
};
