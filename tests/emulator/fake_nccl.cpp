// NCCL (include/nccl.h) on the emulated machine, for ranks that are threads of this process. Sources: nccl.h 2.28, and the
// checks of arguments and states in NCCL's init.cc, argcheck.cc and enqueue.cc. A communicator is in progress for a poll or two
// after its start, and after every fourth collective from the first, which the poll that ends it queues. A collective whose
// ranks do not all come is pending until its communicator is aborted. Stricter than NCCL: blocking communicators are refused,
// and so are ranks that sum different counts, and memory that is not theirs; an abort for which NCCL would wait for ever, since
// a graph holds collectives, is reported. fail() makes a function that it names return ncclUnhandledCudaError, and
// "ncclRemoteError" a poll say, on every rank from then on, that one is gone. Guarded by the machine's mutex.
#include <nccl.h>

#include <algorithm>
#include <cstring>

#include "tests/emulator/call.h"
#include "tests/emulator/library.h"

using namespace winnow::emulator;

namespace {

struct Collective {
  const float* send;
  float* recv;
  std::size_t count;
  bool direct = true;  // not captured: in the order of calls
  std::size_t turn = 0;
  std::size_t bytes() const { return count * sizeof(float); }
};
using Call = std::shared_ptr<Collective>;

// One collective: what each rank calls, and what comes out once all are there.
struct Round {
  std::vector<Call> calls;
  std::size_t here = 0;
  std::vector<float> result;
};
struct Clique {
  std::vector<int> devices;  // of ranks; -1 is not there yet
  std::size_t here = 0;
  bool duplicate = false;
  ncclResult_t error = ncclSuccess;
  std::map<std::size_t, Round> rounds;
};
using Queue = std::function<void()>;
std::map<std::string, std::shared_ptr<Clique>> cliques;  // by id
std::string last_error;

}  // namespace

struct ncclComm {
  std::shared_ptr<Clique> clique;
  int rank, device;
  bool aborted = false;
  int polls = 2;  // more that say "in progress"
  std::vector<Queue> waiting{};
  std::size_t begun = 0, issued = 0, started = 0, round = 0;
  Call joined{};  // the round

  std::size_t ranks() const { return clique->devices.size(); }
  ncclResult_t status() const {
    if (clique->error != ncclSuccess) return clique->error;
    if (clique->here < ranks() || polls > 0) return ncclInProgress;
    if (clique->duplicate) return ncclInvalidUsage;
    const bool works = Machine::instance().device_at(device).sticky == cudaSuccess;
    return works ? ncclSuccess : ncclUnhandledCudaError;
  }
};

namespace {

// In the order of ranks.
void compute_round(Round& round) {
  round.result.assign(round.calls[0]->send, round.calls[0]->send + round.calls[0]->count);
  for (std::size_t rank = 1; rank < round.calls.size(); ++rank) {
    for (std::size_t i = 0; i < round.result.size(); ++i) round.result[i] += round.calls[rank]->send[i];
  }
}

void check_round(const Clique& clique, const Round& round) {
  for (std::size_t rank = 0; rank < round.calls.size(); ++rank) {
    const Collective &call = *round.calls[rank], &first = *round.calls[0];
    if (call.count != first.count) {
      throw Failure("rank 0 sums " + std::to_string(first.count) + " numbers, rank " + std::to_string(rank) + " " +
                    std::to_string(call.count));
    }
    expect_memory({{"sendbuff", call.send, call.send == call.recv ? 0 : call.bytes()},
                   {"recvbuff", call.recv, call.bytes(), true}},
                  clique.devices[rank]);
  }
}

bool is_ready(ncclComm& comm, const Call& call) {
  if (comm.aborted) return true;
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
  std::map<std::size_t, Round>& rounds = comm.clique->rounds;
  rounds.erase(rounds.begin(), rounds.find(comm.round));  // all ranks have left them
  Round& round = rounds.at(comm.round++);
  comm.joined = nullptr;
  if (call.direct) ++comm.started;
  // By the first rank that runs, so that the others' results may lie where they send from.
  if (round.result.empty()) {
    check_round(*comm.clique, round);
    compute_round(round);
  }
  expect_memory({{"recvbuff", call.recv, call.bytes(), true}}, comm.device);
  std::ranges::copy(round.result, call.recv);
}

// body(machine) -> ncclResult_t
template <class Body>
ncclResult_t nccl_call(const char* name, const Body& body) {
  if (host_thread().executing != nullptr) return ncclUnhandledCudaError;
  Machine& machine = Machine::instance();
  const Machine::Lock lock(machine.mutex);
  try {
    require(strike(machine, name) == cudaSuccess, ncclUnhandledCudaError, "a CUDA call failed");
    return body(machine);
  } catch (const Refusal<ncclResult_t>& refusal) {
    last_error = std::string(name) + " : " + refusal.text;
    return refusal.code;
  }
}

std::shared_ptr<ncclComm> known(const Machine& machine, ncclComm_t handle) {
  std::shared_ptr<ncclComm> comm = find(machine.communicators, handle);
  require(comm != nullptr, ncclInvalidArgument, "comm is NULL, corrupted or gone");
  return comm;
}
std::shared_ptr<ncclComm> usable(const Machine& machine, ncclComm_t handle) {
  std::shared_ptr<ncclComm> comm = known(machine, handle);
  const ncclResult_t status = comm->status();
  require(status == ncclSuccess, status == ncclInProgress ? ncclInvalidArgument : status,
          "Attempt to use communicator before the previous operation returned ncclSuccess");
  return comm;
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
  return nccl_call("ncclGetUniqueId", [&](Machine&) {
    require(id != nullptr, ncclInvalidArgument, "uniqueId argument is NULL");
    *id = {};
    std::to_string(cliques.size() + 1).copy(id->internal, sizeof id->internal);
    cliques[id->internal] = std::make_shared<Clique>();
    return ncclSuccess;
  });
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int ranks, ncclUniqueId id, int rank, ncclConfig_t* config) {
  return nccl_call("ncclCommInitRankConfig", [&](Machine& machine) {
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
    if (std::ranges::find(devices, device) != devices.end()) {
      found->second->duplicate = true;
      last_error = "Duplicate GPU detected : two ranks on CUDA device " + std::to_string(device);
    }
    devices[mine] = device;
    ++found->second->here;
    *comm = add(machine.communicators, {found->second, rank, device});
    return ncclInProgress;
  });
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t handle, ncclResult_t* error) {
  return nccl_call("ncclCommGetAsyncError", [&](Machine& machine) {
    const std::shared_ptr<ncclComm> comm = known(machine, handle);
    require(error != nullptr, ncclInvalidArgument, "asyncError argument is NULL");
    if (strike(machine, "ncclRemoteError") != cudaSuccess) comm->clique->error = ncclRemoteError;
    if (comm->polls > 0 && comm->clique->here == comm->ranks() && --comm->polls == 0) {
      for (const Queue& queue : std::exchange(comm->waiting, {})) queue();
    }
    *error = comm->status();
    return ncclSuccess;
  });
}

ncclResult_t ncclCommAbort(ncclComm_t handle) {
  if (handle == nullptr) return ncclSuccess;
  return nccl_call("ncclCommAbort", [&](Machine& machine) {
    const std::shared_ptr<ncclComm> comm = known(machine, handle);
    comm->aborted = true;
    comm->waiting.clear();
    // Its kernel leaves. Those of the others go on waiting, unless all were there.
    Round& round = comm->clique->rounds[comm->round];
    if (std::exchange(comm->joined, nullptr) != nullptr && round.here < comm->ranks()) --round.here;
    machine.changed.notify_all();
    // commDestroySync: while (comm->localPersistentRefs != 0).
    if (machine.is_recorded(handle)) {
      machine.report("ncclCommAbort", "it waits for ever: a graph that is not destroyed holds collectives",
                     comm->device, cudaErrorUnknown);
      return ncclInternalError;
    }
    machine.communicators.erase(handle);
    return ncclSuccess;
  });
}

ncclResult_t ncclAllReduce(const void* send, void* recv, std::size_t count, ncclDataType_t type, ncclRedOp_t op,
                           ncclComm_t handle, cudaStream_t on) {
  return nccl_call("ncclAllReduce", [&](Machine& machine) {
    const std::shared_ptr<ncclComm> comm = usable(machine, handle);
    const std::shared_ptr<CUstream_st> stream = machine.stream_of(on);
    // NCCL has all of them, this has what winnow uses.
    require(type == ncclFloat && op == ncclSum, ncclInvalidArgument, "invalid type or op");
    if (count == 0) return ncclSuccess;
    require(send != nullptr && recv != nullptr, ncclInvalidArgument, "a buffer is NULL");
    require(stream != nullptr && stream->device == comm->device, ncclUnhandledCudaError, "invalid resource handle");
    const Collective of{static_cast<const float*>(send), static_cast<float*>(recv), count};
    const Queue queue = [&machine, comm, stream, call = std::make_shared<Collective>(of)] {
      call->direct = stream->capture == nullptr;
      if (call->direct) call->turn = comm->issued++;
      Work work{.name = "ncclAllReduce", .run = [comm, call] { run_collective(*comm, *call); }};
      work.ready = [comm, call] { return is_ready(*comm, call); };
      work.owner = comm.get();
      require(machine.enqueue(*stream, std::move(work)) == cudaSuccess, ncclUnhandledCudaError, "a broken capture");
    };
    if (comm->waiting.empty() && comm->begun++ % 4 != 0) {
      queue();
      return ncclSuccess;
    }
    comm->polls = 2;
    comm->waiting.push_back(queue);
    return ncclInProgress;
  });
}
