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

void Machine::execute(const CUstream_st& stream, const Work& work) {
  HostThread& thread = host_thread();
  thread.executing = &work;
  device_at(stream.device).unchecked = true;
  memory.set_open(true);
  try {
    work.run();
  } catch (const Failure& failure) {
    report(work.name, failure.what(), stream.device, failure.error);
  } catch (const std::exception& error) {
    report(work.name, error.what(), stream.device, cudaErrorLaunchFailure);
  }
  thread.executing = nullptr;
}

std::vector<std::size_t> Machine::runnable_nodes(const Queued& head) {
  std::vector<std::size_t> found;
  for (std::size_t i = 0; i < head.done.size(); ++i) {
    const auto& [work, after] = head.graph->nodes[i];
    if (head.done[i] || !std::ranges::all_of(after, [&](std::size_t before) { return head.done[before]; })) continue;
    memory.set_open(true);
    if (!work.ready || work.ready()) found.push_back(i);
  }
  return found;
}

bool Machine::can_run(const CUstream_st& stream) {
  if (stream.queue.empty()) return false;
  const Queued& head = stream.queue.front();
  if (head.after != nullptr && !head.after->reached) return false;
  return head.done.empty() || !runnable_nodes(head).empty();
}

// One node of the graph at the head of the stream.
void Machine::execute_head(CUstream_st& stream) {
  Queued& head = stream.queue.front();  // stays where it is while others push
  if (const std::vector<std::size_t> nodes = runnable_nodes(head); !nodes.empty()) {
    const std::size_t node = nodes[random() % nodes.size()];
    head.done[node] = true;
    execute(stream, head.graph->nodes[node].work);
    if (std::ranges::find(head.done, false) != head.done.end()) return;
  }
  if (head.reached != nullptr) head.reached->reached = true;
  stream.queue.pop_front();
  changed.notify_all();
}

// From the streams of the device; from those of others where it has nothing that can run now. The stream that ran goes on with
// three chances in four, so that one may get far ahead of another.
bool Machine::execute_one(int device) {
  std::erase_if(queues, [](const auto& stream) { return stream.use_count() == 1 && stream->queue.empty(); });
  std::vector<CUstream_st*> ready;
  for (const bool own : {true, false}) {
    for (const std::shared_ptr<CUstream_st>& stream : queues) {
      if ((stream->device == device) == own && can_run(*stream)) ready.push_back(stream.get());
    }
    if (!ready.empty()) break;
  }
  if (ready.empty()) return false;
  const auto again = std::ranges::find(ready, last_run);
  CUstream_st& next = again != ready.end() && random() % 4 != 0 ? **again : *ready[random() % ready.size()];
  last_run = &next;
  execute_head(next);
  if (device_at(next.device).sticky != cudaSuccess) drop_work_of(next.device);
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
  EmulatedDevice& of = device_at(device);
  while (!std::ranges::all_of(moments, [](const auto& moment) { return moment->reached; })) {
    if (execute_one(device)) continue;
    memory.set_open(false);
    if (changed.wait_for(lock, kPatience) == std::cv_status::no_timeout) continue;
    report("synchronisation", "it waits for what nobody queues", device, cudaErrorUnknown);
    drop_work_of(device);
    break;
  }
  if (std::exchange(of.unchecked, false) && of.sticky == cudaSuccess) {
    memory.set_open(true);
    if (const std::string damage = memory.damage(device); !damage.empty()) {
      report("synchronisation", damage, device, cudaErrorIllegalAddress);
    }
  }
  memory.set_open(false);
  if (of.sticky == cudaSuccess) of.sticky = std::atomic_ref(of.coming).exchange(cudaSuccess);
  if (of.sticky != cudaSuccess) drop_work_of(device);
  return of.sticky;
}

cudaError_t Machine::wait_for_queues(Lock& lock, int device, const CUstream_st* only) {
  std::vector<std::shared_ptr<Moment>> ends;
  for (const std::shared_ptr<CUstream_st>& stream : queues) {
    if (stream->device != device || (only != nullptr && only != stream.get())) continue;
    push(*stream, {.reached = ends.emplace_back(std::make_shared<Moment>())});
  }
  ++direct.synchronisations;
  return wait(lock, device, ends);
}

// Many pieces at once, since every call opens and closes all memory. Where another rank is needed it gets its turn.
void Machine::some_progress(Lock& lock, int device) {
  bool any = false;
  for (std::uint64_t steps = 1 + random() % 64; steps > 0 && execute_one(device); --steps) any = true;
  memory.set_open(false);
  if (!any) changed.wait_for(lock, std::chrono::milliseconds(1));
}

}  // namespace winnow::emulator
