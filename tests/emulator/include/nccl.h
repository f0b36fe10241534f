// Stands in for NCCL's header: the part that winnow uses, with its names, numbers and types. fake_nccl.cpp does what NVIDIA
// documents for ranks that are threads of one process. Thread-safe as NCCL is: one thread at a time uses a communicator.
#pragma once

#include <climits>

#include "tests/emulator/include/cuda_runtime.h"

#define NCCL_VERSION_CODE 22809
#define NCCL_VERSION(major, minor, patch) ((major)*10000 + (minor)*100 + (patch))
#define NCCL_UNIQUE_ID_BYTES 128
#define NCCL_CONFIG_UNDEF_INT INT_MIN
#define NCCL_CONFIG_INITIALIZER \
  { sizeof(ncclConfig_t), 0xcafebeef, NCCL_VERSION_CODE, NCCL_CONFIG_UNDEF_INT }

// Name and text, numbered from 0.
#define WINNOW_NCCL_RESULTS(X)                                                             \
  X(ncclSuccess, "no error")                                                               \
  X(ncclUnhandledCudaError, "unhandled cuda error (run with NCCL_DEBUG=INFO for details)") \
  X(ncclSystemError, "unhandled system error (run with NCCL_DEBUG=INFO for details)")      \
  X(ncclInternalError, "internal error - please report this issue to the NCCL developers") \
  X(ncclInvalidArgument, "invalid argument (run with NCCL_DEBUG=WARN for details)")        \
  X(ncclInvalidUsage, "invalid usage (run with NCCL_DEBUG=WARN for details)")              \
  X(ncclRemoteError, "remote process exited or there was a network error")                 \
  X(ncclInProgress, "NCCL operation in progress")
#define WINNOW_ONE_RESULT(name, text) name,
enum ncclResult_t { WINNOW_NCCL_RESULTS(WINNOW_ONE_RESULT) };
#undef WINNOW_ONE_RESULT
enum ncclRedOp_t { ncclSum };
enum ncclDataType_t { ncclFloat = 7 };

using ncclComm_t = struct ncclComm*;
struct ncclUniqueId {
  char internal[NCCL_UNIQUE_ID_BYTES];
};
struct ncclConfig_t {
  std::size_t size;
  unsigned magic, version;
  int blocking;
};

ncclResult_t ncclGetVersion(int* version);
ncclResult_t ncclGetUniqueId(ncclUniqueId* id);
const char* ncclGetErrorString(ncclResult_t result);
const char* ncclGetLastError(ncclComm_t comm);
ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int ranks, ncclUniqueId id, int rank, ncclConfig_t* config);
ncclResult_t ncclCommAbort(ncclComm_t comm);
ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* error);
ncclResult_t ncclAllReduce(const void* send, void* recv, std::size_t count, ncclDataType_t, ncclRedOp_t, ncclComm_t,
                           cudaStream_t);
