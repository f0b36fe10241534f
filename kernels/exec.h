// Where a kernel runs and with what: handed to every loop (for_each.h, fold_rows.h), to layers and
// to the kernels of ops. A plain value that borrows everything; the memory it names belongs to its device.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/run_state.h"

namespace winnow {

// Dry is CUDA with nothing behind it: programs are planned and run as for a GPU, and what they would queue is written down
// (kernels/dry.h).
enum class Device : std::uint8_t { Cpu, Cuda, Dry };
constexpr const char* name_of(Device device) { return device == Device::Cpu ? "CPU" : "CUDA"; }

struct Exec {
  Device device = Device::Cpu;
  int threads = 1;               // of the CPU; other devices ignore it
  void* stream = nullptr;        // on which other devices queue the work; the CPU has none
  std::byte* scratch = nullptr;  // 64-byte aligned, as large as the kernel asked for
  RunState* run = nullptr;       // what was fed to this run

  Exec with_scratch(std::byte* memory) const { return {device, threads, stream, memory, run}; }
};

}  // namespace winnow
