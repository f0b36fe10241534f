// Says on standard error what a wrong access to device memory was, before the process ends by it as it would have done.
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "tests/emulator/machine.h"

namespace winnow::emulator {

namespace {

struct sigaction before_us;

void on_fault(int, siginfo_t* info, void*) {
  // The thread holds the machine's lock if it executes; else nothing is more likely to be right than to look without it.
  const auto* at = static_cast<const std::byte*>(info->si_addr);
  const Memory::Allocation* allocation = Machine::instance().memory.around(at);
  if (allocation != nullptr) {
    const Work* work = host_thread().executing;
    char lane[64] = "", text[512];
    if (work != nullptr && work->kind == Kind::Kernel) {
      std::snprintf(lane, sizeof lane, ", block %u, thread %u,", blockIdx.x, threadIdx.x);
    }
    std::snprintf(text, sizeof text, "emulator: %.200s%s touches %s memory, byte %td of an allocation of %zu%s\n",
                  work != nullptr ? work->name.c_str() : "host code", lane,
                  allocation->device == Memory::kHost ? "pinned" : "device", at - allocation->begin, allocation->bytes,
                  allocation->live ? "" : " that was freed");
    if (write(STDERR_FILENO, text, std::strlen(text)) < 0) _exit(1);
  }
  sigaction(SIGSEGV, &before_us, nullptr);  // the access is tried again
}

}  // namespace

void install_fault_handler() {
  struct sigaction ours {};
  ours.sa_sigaction = on_fault;
  ours.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigaction(SIGSEGV, &ours, &before_us);
}

}  // namespace winnow::emulator
