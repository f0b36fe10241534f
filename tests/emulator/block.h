// Runs kernels: block after block, each lane as a plain call until it meets a barrier or a shuffle. Lanes are called one after
// another on a fiber (a worker); a lane that has to wait keeps its worker, and the next lanes are called on another one. So a
// kernel whose lanes never wait costs one switch of stacks a block. One object a host thread, which alone uses it; it owns the
// stacks and the shared memory.
#pragma once

#include <boost/context/fiber.hpp>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tests/emulator/emulator.h"

namespace winnow::emulator {

class Block {
 public:
  static constexpr unsigned kMostThreads = 1024;
  static constexpr std::size_t kMostShared = std::size_t{48} << 10;
  static constexpr std::size_t kArenaBytes = 2 * kMostShared;  // with guards and what alignment costs

  static Block& of_this_thread();

  // All blocks of a launch. Throws Failure for what a kernel does wrong.
  void run(const KernelLaunch& launch, LaneOrder order, std::uint64_t seed);

  // For the lane that runs.
  std::uint64_t meet(Meeting meeting, unsigned mask, std::uint64_t value, int source, const Place& place);
  void* shared_array(const void* tag, std::size_t bytes, std::size_t alignment, const char* name);

 private:
  enum class State : std::uint8_t { New, Running, Waiting, Ready, Done };
  struct Worker {
    boost::context::fiber fiber{};
    unsigned lane = 0;
  };
  struct Lane {
    State state = State::New;
    Meeting meeting{};
    unsigned mask = 0;
    int source = 0;
    std::uint64_t value = 0, result = 0;
    Place place;
    Worker* worker = nullptr;
  };
  struct SharedArray {
    const void* tag;
    std::size_t begin, bytes;
    const char* name;
  };

  void run_block();
  void call_lanes(Worker& worker);
  void resume(Worker& worker);
  void wait(Lane& lane);
  void release_barrier();
  bool complete(unsigned index);
  std::string stuck() const;
  void poison(const SharedArray& array);
  void check_shared() const;
  bool next_lane_exists() const { return next_ < count_ && failure_ == nullptr; }

  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<Worker*> idle_;
  Worker* current_ = nullptr;
  boost::context::fiber scheduler_;  // what resumed the current worker
  const KernelLaunch* launch_ = nullptr;
  std::vector<Lane> lanes_;
  std::vector<unsigned> lane_order_;
  unsigned count_ = 0, next_ = 0, done_ = 0, at_barrier_ = 0;
  std::exception_ptr failure_;
  alignas(256) std::byte shared_[kArenaBytes];
  std::vector<SharedArray> arrays_;
};

}  // namespace winnow::emulator
