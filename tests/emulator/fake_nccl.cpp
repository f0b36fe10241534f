// NCCL (include/nccl.h) on the emulated machine, for ranks that are threads of this process. Sources: nccl.h 2.28, and the
// checks of arguments and states in NCCL's init.cc, argcheck.cc, enqueue.cc and group.cc. A communicator is in progress for a
// poll or two after its start, and after every fourth collective from the first, which the poll that ends it queues. A
// collective whose ranks do not all come is pending until its communicator is aborted. Stricter than NCCL: blocking
// communicators are refused, and so are ncclCommDestroy while something is queued, ranks that call different things, and memory
// that is not theirs. fail() makes a function that it names return ncclUnhandledCudaError, and "ncclRemoteError" a poll say
// that a rank is gone. Guarded by the machine's mutex.
#include <nccl.h>

#include <algorithm>
#include <cstring>

#include "tests/emulator/call.h"
#include "tests/emulator/library.h"

using namespace winnow::emulator;

namespace {

struct Collective {
  std::string what;  // what ranks have to agree upon
  const void* send;
  void* recv;
  std::size_t bytes;
  bool is_sum;         // of f32; else the largest of uint64
  int root;            // -1: of a reduction
  bool direct = true;  // not captured: in the order of calls
  std::size_t turn = 0;
};
using Call = std::shared_ptr<Collective>;

// One collective: what each rank calls, and what comes out once all are there.
struct Round {
  std::vector<Call> calls;
  std::size_t here = 0;
  std::vector<std::byte> result;
};
struct Clique {
  std::vector<int> devices;  // of ranks; -1 is not there yet
  std::size_t here = 0, finalized = 0;
  bool duplicate = false;
  std::map<std::size_t, Round> rounds;
};
using Queue = std::function<void()>;
struct Group {
  int depth = 0;
  ncclResult_t error = ncclSuccess;
  std::vector<std::pair<std::shared_ptr<ncclComm>, Queue>> calls;
};
thread_local Group group;
std::map<std::string, std::shared_ptr<Clique>> cliques;  // by id
std::string last_error;

}  // namespace

struct ncclComm {
  std::shared_ptr<Clique> clique;
  int rank, device;
  ncclResult_t error = ncclSuccess;
  bool finalized = false, destroyed = false, aborted = false;
  int polls = 2;  // more that say "in progress"
  std::vector<Queue> waiting{};
  std::size_t begun = 0, issued = 0, started = 0, round = 0;
  Call joined{};  // the round

  std::size_t ranks() const { return clique->devices.size(); }
  ncclResult_t status() const {
    const bool flushed = issued == started && clique->finalized == ranks();
    if (error != ncclSuccess) return error;
    if (clique->here < ranks() || polls > 0 || (finalized && !flushed)) return ncclInProgress;
    if (clique->duplicate) return ncclInvalidUsage;
    const cudaError_t of_device = Machine::instance().devices.at(static_cast<std::size_t>(device)).sticky;
    return of_device == cudaSuccess ? ncclSuccess : ncclUnhandledCudaError;
  }
};

namespace {

// In the order of ranks.
void compute_round(Round& round, const Collective& call) {
  round.result.resize(call.bytes);
  auto* const sums = reinterpret_cast<float*>(round.result.data());
  auto* const largest = reinterpret_cast<std::uint64_t*>(round.result.data());
  std::memcpy(sums, round.calls[static_cast<std::size_t>(std::max(call.root, 0))]->send, call.bytes);
  for (std::size_t rank = 1; rank < round.calls.size() && call.root < 0; ++rank) {
    const auto* numbers = static_cast<const float*>(round.calls[rank]->send);
    const auto* integers = static_cast<const std::uint64_t*>(round.calls[rank]->send);
    for (std::size_t i = 0; call.is_sum && i < call.bytes / 4; ++i) sums[i] += numbers[i];
    for (std::size_t i = 0; !call.is_sum && i < call.bytes / 8; ++i) largest[i] = std::max(largest[i], integers[i]);
  }
}

void check_round(const Clique& clique, const Round& round) {
  for (std::size_t rank = 0; rank < round.calls.size(); ++rank) {
    const Collective &call = *round.calls[rank], &first = *round.calls[0];
    if (call.what != first.what) {
      throw Failure("rank 0 calls " + first.what + ", rank " + std::to_string(rank) + " " + call.what);
    }
    const bool reads = (call.root < 0 || call.root == static_cast<int>(rank)) && call.send != call.recv;
    expect_memory({{"sendbuff", call.send, reads ? call.bytes : 0}, {"recvbuff", call.recv, call.bytes, true}},
                  clique.devices[rank]);
  }
}

bool is_ready(ncclComm& comm, const Call& call) {
  if (comm.aborted || comm.destroyed) return true;
  Round& round = comm.clique->rounds[comm.round];
  if (comm.joined == nullptr && (!call->direct || call->turn == comm.started)) {
    round.calls.resize(comm.ranks());
    round.calls[static_cast<std::size_t>(comm.rank)] = comm.joined = call;
    ++round.here;
  }
  return comm.joined == call && round.here == comm.ranks();
}

void run_collective(ncclComm& comm, const Collective& call) {
  if (comm.aborted) return;
  if (comm.destroyed) throw Failure("its communicator was destroyed");
  std::map<std::size_t, Round>& rounds = comm.clique->rounds;
  rounds.erase(rounds.begin(), rounds.find(comm.round));  // all ranks have left them
  Round& round = rounds.at(comm.round++);
  comm.joined = nullptr;
  if (call.direct) ++comm.started;
  // By the first rank that runs, so that the others' results may lie where they send from.
  if (round.result.empty()) {
    check_round(*comm.clique, round);
    compute_round(round, call);
  }
  expect_memory({{"recvbuff", call.recv, call.bytes, true}}, comm.device);
  std::memcpy(call.recv, round.result.data(), call.bytes);
}

// body(machine, lock) -> ncclResult_t
template <class Body>
ncclResult_t nccl_call(const char* name, const Body& body) {
  if (host_thread().executing != nullptr) return ncclUnhandledCudaError;
  Machine& machine = Machine::instance();
  Machine::Lock lock(machine.mutex);
  try {
    require(strike(machine, name) == cudaSuccess, ncclUnhandledCudaError, "a CUDA call failed");
    return body(machine, lock);
  } catch (const Refusal<ncclResult_t>& refusal) {
    last_error = std::string(name) + " : " + refusal.text;
    return group.depth > 0 ? group.error = refusal.code : refusal.code;
  }
}

std::shared_ptr<ncclComm> known(const Machine& machine, ncclComm_t handle) {
  const auto found = machine.communicators.find(handle);
  require(found != machine.communicators.end(), ncclInvalidArgument, "comm is NULL, corrupted or gone");
  return found->second;
}
std::shared_ptr<ncclComm> usable(const Machine& machine, ncclComm_t handle) {
  std::shared_ptr<ncclComm> comm = known(machine, handle);
  const ncclResult_t status = comm->status();
  require(status == ncclSuccess, status == ncclInProgress ? ncclInvalidArgument : status,
          "Attempt to use communicator before the previous operation returned ncclSuccess");
  return comm;
}

ncclResult_t queue_or_wait(ncclComm& comm, const Queue& queue) {
  if (comm.waiting.empty() && comm.begun++ % 4 != 0) {
    queue();
    return ncclSuccess;
  }
  comm.polls = 2;
  comm.waiting.push_back(queue);
  return ncclInProgress;
}

ncclResult_t begin_collective(const char* name, const void* send, void* recv, std::size_t count, ncclDataType_t type,
                              int root, ncclComm_t handle, cudaStream_t on) {
  return nccl_call(name, [&](Machine& machine, Machine::Lock&) {
    constexpr std::size_t kUnits[] = {1, 1, 4, 4, 8, 8, 2, 4, 8, 2};
    const std::shared_ptr<ncclComm> comm = usable(machine, handle);
    const std::shared_ptr<CUstream_st> stream = machine.stream_of(on);
    require(!comm->finalized, ncclInvalidUsage, "the communicator is finalized");
    require(type >= 0 && type <= ncclBfloat16 && root < static_cast<int>(comm->ranks()), ncclInvalidArgument,
            "invalid type or root");
    if (count == 0) return ncclSuccess;
    require(send != nullptr && recv != nullptr, ncclInvalidArgument, "a buffer is NULL");
    require(stream != nullptr && stream->device == comm->device, ncclUnhandledCudaError, "invalid resource handle");
    const std::string what = std::string(name) + " of " + std::to_string(count) + ", type " + std::to_string(type) +
                             ", root " + std::to_string(root);
    const Collective of{what, send, recv, count * kUnits[type], type == ncclFloat32, root};
    const Queue queue = [&machine, name, comm, stream, call = std::make_shared<Collective>(of)] {
      call->direct = stream->capture == nullptr;
      if (call->direct) call->turn = comm->issued++;
      Work work{.name = name, .run = [comm, call] { run_collective(*comm, *call); }};
      work.ready = [comm, call] { return is_ready(*comm, call); };
      require(machine.enqueue(stream, std::move(work)) == cudaSuccess, ncclUnhandledCudaError, "a broken capture");
    };
    if (group.depth == 0) return queue_or_wait(*comm, queue);
    group.calls.emplace_back(comm, queue);
    return ncclSuccess;
  });
}

ncclResult_t tell(const char* name, ncclComm_t handle, int* value, int (*of)(const ncclComm&)) {
  return nccl_call(name, [&](Machine& machine, Machine::Lock&) {
    require(value != nullptr, ncclInvalidArgument, "argument is NULL");
    *value = of(*usable(machine, handle));
    return ncclSuccess;
  });
}

}  // namespace

ncclResult_t ncclGetVersion(int* version) {
  if (version == nullptr) return ncclInvalidArgument;
  *version = NCCL_VERSION_CODE;
  return ncclSuccess;
}

const char* ncclGetErrorString(ncclResult_t result) {
#define WINNOW_RESULT_TEXT(name, text) \
  if (result == name) return text;
  WINNOW_NCCL_RESULTS(WINNOW_RESULT_TEXT)
  return "unknown result code";
}

const char* ncclGetLastError(ncclComm_t) {
  static thread_local std::string mine;
  const Machine::Lock lock(Machine::instance().mutex);
  return (mine = last_error).c_str();
}

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  return nccl_call("ncclGetUniqueId", [&](Machine&, Machine::Lock&) {
    require(id != nullptr, ncclInvalidArgument, "uniqueId argument is NULL");
    *id = {};
    std::to_string(cliques.size() + 1).copy(id->internal, sizeof id->internal);
    cliques[id->internal] = std::make_shared<Clique>();
    return ncclSuccess;
  });
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int ranks, ncclUniqueId id, int rank, ncclConfig_t* config) {
  return nccl_call("ncclCommInitRankConfig", [&](Machine& machine, Machine::Lock&) {
    require(comm != nullptr && config != nullptr, ncclInvalidArgument, "comm or config argument is NULL");
    *comm = nullptr;
    require(rank >= 0 && rank < ranks, ncclInvalidArgument, "Invalid rank requested");
    require(config->magic == 0xcafebeef && config->size == sizeof *config, ncclInvalidArgument,
            "ncclConfig_t argument not initialized via NCCL_CONFIG_INITIALIZER");
    require(config->blocking == 0, ncclInvalidArgument, "here are no blocking communicators");
    const auto found = cliques.find(std::string(id.internal, strnlen(id.internal, sizeof id.internal)));
    require(found != cliques.end(), ncclInvalidArgument, "this id is not of ncclGetUniqueId");
    std::vector<int>& devices = found->second->devices;
    const auto size = static_cast<std::size_t>(ranks), mine = static_cast<std::size_t>(rank);
    if (devices.empty()) devices.assign(size, -1);
    require(devices.size() == size, ncclInternalError, "mismatch in rank count");
    require(devices[mine] < 0, ncclInvalidUsage, "this rank is there already");
    const int device = host_thread().device;
    if (std::find(devices.begin(), devices.end(), device) != devices.end()) {
      found->second->duplicate = true;
      last_error = "Duplicate GPU detected : two ranks on CUDA device " + std::to_string(device);
    }
    devices[mine] = device;
    ++found->second->here;
    const auto made = std::make_shared<ncclComm>(ncclComm{found->second, rank, device});
    machine.communicators[*comm = made.get()] = made;
    return ncclInProgress;
  });
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t handle, ncclResult_t* error) {
  return nccl_call("ncclCommGetAsyncError", [&](Machine& machine, Machine::Lock& lock) {
    const std::shared_ptr<ncclComm> comm = known(machine, handle);
    require(error != nullptr, ncclInvalidArgument, "asyncError argument is NULL");
    if (strike(machine, "ncclRemoteError") != cudaSuccess) comm->error = ncclRemoteError;
    if (comm->finalized) machine.some_progress(lock, comm->device);
    if (comm->polls > 0 && comm->clique->here == comm->ranks() && --comm->polls == 0) {
      for (const Queue& queue : std::exchange(comm->waiting, {})) queue();
    }
    *error = comm->status();
    return ncclSuccess;
  });
}

ncclResult_t ncclCommFinalize(ncclComm_t handle) {
  if (handle == nullptr) return ncclSuccess;
  return nccl_call("ncclCommFinalize", [&](Machine& machine, Machine::Lock&) {
    const std::shared_ptr<ncclComm> comm = usable(machine, handle);
    require(!std::exchange(comm->finalized, true), ncclInvalidArgument, "called twice");
    ++comm->clique->finalized;
    comm->polls = 1;
    return ncclInProgress;
  });
}

ncclResult_t ncclCommDestroy(ncclComm_t handle) {
  if (handle == nullptr) return ncclSuccess;
  return nccl_call("ncclCommDestroy", [&](Machine& machine, Machine::Lock&) {
    const std::shared_ptr<ncclComm> comm = usable(machine, handle);
    require(comm->issued == comm->started, ncclInvalidUsage, "collectives are queued, for which it would wait");
    comm->destroyed = true;
    machine.communicators.erase(handle);
    return ncclSuccess;
  });
}

ncclResult_t ncclCommAbort(ncclComm_t handle) {
  if (handle == nullptr) return ncclSuccess;
  return nccl_call("ncclCommAbort", [&](Machine& machine, Machine::Lock&) {
    const std::shared_ptr<ncclComm> comm = known(machine, handle);
    comm->aborted = true;
    comm->waiting.clear();
    // Its kernel leaves. Those of the others go on waiting, unless all were there.
    Round& round = comm->clique->rounds[comm->round];
    if (comm->joined != nullptr && round.here < comm->ranks()) --round.here;
    machine.communicators.erase(handle);
    machine.changed.notify_all();
    return ncclSuccess;
  });
}

ncclResult_t ncclCommCount(ncclComm_t comm, int* count) {
  return tell("ncclCommCount", comm, count, [](const ncclComm& of) { return static_cast<int>(of.ranks()); });
}
ncclResult_t ncclCommCuDevice(ncclComm_t comm, int* device) {
  return tell("ncclCommCuDevice", comm, device, [](const ncclComm& of) { return of.device; });
}
ncclResult_t ncclCommUserRank(ncclComm_t comm, int* rank) {
  return tell("ncclCommUserRank", comm, rank, [](const ncclComm& of) { return of.rank; });
}

ncclResult_t ncclAllReduce(const void* send, void* recv, std::size_t count, ncclDataType_t type, ncclRedOp_t op,
                           ncclComm_t comm, cudaStream_t stream) {
  // NCCL has all of them, this has what winnow uses.
  if (!(type == ncclFloat32 && op == ncclSum) && !(type == ncclUint64 && op == ncclMax)) return ncclInvalidArgument;
  return begin_collective("ncclAllReduce", send, recv, count, type, -1, comm, stream);
}
ncclResult_t ncclBroadcast(const void* send, void* recv, std::size_t count, ncclDataType_t type, int root,
                           ncclComm_t comm, cudaStream_t stream) {
  return root < 0 ? ncclInvalidArgument
                  : begin_collective("ncclBroadcast", send, recv, count, type, root, comm, stream);
}

ncclResult_t ncclGroupStart() {
  ++group.depth;
  return ncclSuccess;
}

ncclResult_t ncclGroupEnd() {
  return nccl_call("ncclGroupEnd", [&](Machine&, Machine::Lock&) {
    require(group.depth > 0, ncclInvalidUsage, "not in a group call.");
    if (--group.depth > 0) return ncclSuccess;
    const Group ended = std::exchange(group, {});
    ncclResult_t result = ended.error;
    if (result != ncclSuccess) return result;
    for (const auto& [comm, queue] : ended.calls) result = std::max(result, queue_or_wait(*comm, queue));
    return result;
  });
}
