// How the machine executes what is queued (machine.h): one thing at a time, from streams at random, in every order that streams
// and events allow.
#include <algorithm>
#include <atomic>

#include "tests/emulator/machine.h"

namespace winnow::emulator {

namespace {
// What waits for another rank longer than this waits for ever.
constexpr std::chrono::seconds kPatience{20};
}  // namespace

void Machine::execute(CUstream_st& stream, const Work& work) {
  HostThread& thread = host_thread();
  thread.executing = &work;
  try {
    if (work.run) {  // not a mark of an event
      devices[static_cast<std::size_t>(stream.device)].unchecked = true;
      memory.open();
      work.run();
    }
  } catch (const Failure& failure) {
    report(work.name, failure.what(), stream.device, failure.error);
  } catch (const std::exception& error) {
    report(work.name, error.what(), stream.device, cudaErrorLaunchFailure);
  }
  thread.executing = nullptr;
}

bool Machine::is_ready(const Work& work) {
  if (!work.ready) return true;
  memory.open();
  return work.ready();
}

std::vector<std::size_t> Machine::runnable_nodes(const Queued& head) {
  std::vector<std::size_t> found;
  for (std::size_t i = 0; i < head.done.size(); ++i) {
    const GraphNode& node = head.graph->nodes[i];
    const auto is_done = [&](std::size_t before) { return head.done[before]; };
    if (!head.done[i] && std::all_of(node.after.begin(), node.after.end(), is_done) && is_ready(node.work)) {
      found.push_back(i);
    }
  }
  return found;
}

bool Machine::can_run(const CUstream_st& stream) {
  if (stream.queue.empty()) return false;
  const Queued& head = stream.queue.front();
  if (head.after != nullptr && !head.after->reached) return false;
  if (head.graph != nullptr && !head.graph->nodes.empty()) return !runnable_nodes(head).empty();
  return is_ready(head.work);
}

// One piece of work of the stream, or one node of the graph at its head.
void Machine::execute_head(CUstream_st& stream) {
  Queued& head = stream.queue.front();  // stays where it is while others push
  if (head.graph != nullptr && !head.graph->nodes.empty()) {
    const std::vector<std::size_t> nodes = runnable_nodes(head);
    const std::size_t node = nodes[random() % nodes.size()];
    const std::shared_ptr<const Graph> graph = head.graph;
    head.done[node] = true;
    execute(stream, graph->nodes[node].work);
    if (std::find(head.done.begin(), head.done.end(), false) != head.done.end()) return;
  } else {
    execute(stream, head.work);
  }
  if (head.reached != nullptr) head.reached->reached = true;
  stream.queue.pop_front();
  changed.notify_all();
}

// From the streams of the device; from those of others where it has nothing that can run now. The stream that ran goes on with
// three chances in four, so that one may get far ahead of another.
bool Machine::execute_one(int device) {
  std::erase_if(queues, [](const auto& stream) { return stream.use_count() == 1 && stream->queue.empty(); });
  std::vector<std::shared_ptr<CUstream_st>> own, others;
  for (const std::shared_ptr<CUstream_st>& stream : queues) {
    if (stream->device == device && can_run(*stream)) own.push_back(stream);
  }
  if (own.empty()) {
    std::copy_if(queues.begin(), queues.end(), std::back_inserter(own),
                 [&](const auto& stream) { return stream->device != device && can_run(*stream); });
  }
  if (own.empty()) return false;
  const auto again =
      std::find_if(own.begin(), own.end(), [&](const auto& stream) { return stream.get() == last_run_; });
  const auto next =
      again != own.end() && random() % 4 != 0 ? again : own.begin() + static_cast<long>(random() % own.size());
  last_run_ = next->get();
  execute_head(**next);
  const int of = (*next)->device;
  if (devices[static_cast<std::size_t>(of)].sticky != cudaSuccess) drop_work_of(of);
  return true;
}

void Machine::drop_work_of(int device) {
  for (const std::shared_ptr<CUstream_st>& stream : queues) {
    if (stream->device != device) continue;
    for (const Queued& queued : stream->queue) {
      if (queued.reached != nullptr) queued.reached->reached = true;
    }
    stream->queue.clear();
  }
  changed.notify_all();
}

cudaError_t Machine::wait(Lock& lock, int device, const std::vector<std::shared_ptr<Moment>>& moments) {
  EmulatedDevice& of = devices.at(static_cast<std::size_t>(device));
  const auto reached = [](const std::shared_ptr<Moment>& moment) { return moment->reached; };
  while (!std::all_of(moments.begin(), moments.end(), reached)) {
    if (execute_one(device)) continue;
    memory.close();
    if (changed.wait_for(lock, kPatience) == std::cv_status::no_timeout) continue;
    report("synchronisation", "it waits for what nobody queues", device, cudaErrorUnknown);
    drop_work_of(device);
    break;
  }
  if (std::exchange(of.unchecked, false) && of.sticky == cudaSuccess) {
    memory.open();
    if (const std::string damage = memory.damage(device); !damage.empty()) {
      report("synchronisation", damage, device, cudaErrorIllegalAddress);
    }
  }
  memory.close();
  if (of.sticky == cudaSuccess) of.sticky = std::atomic_ref(of.coming).exchange(cudaSuccess);
  if (of.sticky != cudaSuccess) drop_work_of(device);
  return of.sticky;
}

cudaError_t Machine::wait_for_stream(Lock& lock, const std::shared_ptr<CUstream_st>& stream) {
  const auto end = std::make_shared<Moment>();
  push(stream, {.reached = end});
  ++direct.synchronisations;
  return wait(lock, stream->device, {end});
}

cudaError_t Machine::wait_for_device(Lock& lock, int device) {
  std::vector<std::shared_ptr<Moment>> ends;
  for (const std::shared_ptr<CUstream_st>& stream : queues) {
    if (stream->device != device) continue;
    ends.push_back(std::make_shared<Moment>());
    push(stream, {.reached = ends.back()});
  }
  ++direct.synchronisations;
  return wait(lock, device, ends);
}

// Many pieces at once, since every call opens and closes all memory. Where another rank is needed it gets its turn.
void Machine::some_progress(Lock& lock, int device) {
  bool any = false;
  for (std::uint64_t steps = 1 + random() % 64; steps > 0 && execute_one(device); --steps) any = true;
  memory.close();
  if (!any) changed.wait_for(lock, std::chrono::milliseconds(1));
}

}  // namespace winnow::emulator
