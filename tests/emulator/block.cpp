#include "tests/emulator/block.h"

#include <pthread.h>

#include <algorithm>
#include <boost/context/protected_fixedsize_stack.hpp>
#include <map>
#include <numeric>
#include <system_error>

namespace winnow::emulator {

namespace {

constexpr std::size_t kStackBytes = std::size_t{128} << 10;

void put_in_order(std::vector<unsigned>& order, unsigned count, LaneOrder wanted, std::mt19937_64& random) {
  order.resize(count);
  std::iota(order.begin(), order.end(), 0u);
  if (wanted == LaneOrder::Backward) std::reverse(order.begin(), order.end());
  if (wanted == LaneOrder::Shuffled) std::shuffle(order.begin(), order.end(), random);
}

bool same_place(const Place& a, const Place& b) {
  // Names of a file in two objects may be two strings.
  return a.line() == b.line() && a.column() == b.column() &&
         (a.file_name() == b.file_name() || std::string_view(a.file_name()) == b.file_name());
}

std::string text_of(const Place& place) { return std::string(place.file_name()) + ':' + std::to_string(place.line()); }

}  // namespace

// By a key of the thread and not a thread_local: what a thread's own objects give back as it ends makes it run what is queued,
// and they may have been made before the thread's first kernel, to be destroyed last. Keys come after all of them.
Block& Block::of_this_thread() {
  static const pthread_key_t key = [] {
    pthread_key_t made{};
    const int status = ::pthread_key_create(&made, [](void* block) { delete static_cast<Block*>(block); });
    if (status != 0) throw std::system_error(status, std::generic_category(), "pthread_key_create");
    return made;
  }();
  auto* block = static_cast<Block*>(::pthread_getspecific(key));
  if (block != nullptr) return *block;
  auto made = std::make_unique<Block>();
  const int status = ::pthread_setspecific(key, made.get());
  if (status != 0) throw std::system_error(status, std::generic_category(), "pthread_setspecific");
  return *made.release();
}

void Block::run(const KernelLaunch& launch, LaneOrder order, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  launch_ = &launch;
  gridDim.x = launch.grid;
  blockDim.x = count_ = launch.block;
  arrays_.clear();
  std::vector<unsigned> blocks_in_order;
  put_in_order(blocks_in_order, launch.grid, order, random);
  for (const unsigned block : blocks_in_order) {
    put_in_order(lane_order_, count_, order, random);
    blockIdx.x = block;
    try {
      run_block();
    } catch (...) {
      // Lanes that wait are unwound where they are.
      current_ = nullptr;
      idle_.clear();
      workers_.clear();
      throw;
    }
  }
}

void Block::run_block() {
  lanes_.assign(count_, Lane{});
  next_ = done_ = at_barrier_ = 0;
  failure_ = nullptr;
  for (const SharedArray& array : arrays_) poison(array);
  while (done_ < count_) {
    bool moved = false;
    while (next_lane_exists()) {
      if (idle_.empty()) {
        workers_.push_back(std::make_unique<Worker>());
        Worker& made = *workers_.back();
        made.fiber = boost::context::fiber(std::allocator_arg, boost::context::protected_fixedsize_stack(kStackBytes),
                                           [this, &made](boost::context::fiber&& caller) {
                                             scheduler_ = std::move(caller);
                                             call_lanes(made);
                                             return std::move(scheduler_);
                                           });
        idle_.push_back(&made);
      }
      Worker& worker = *idle_.back();
      idle_.pop_back();
      resume(worker);
      moved = true;
    }
    for (const unsigned at : lane_order_) {
      if (failure_ != nullptr) break;
      if (lanes_[at].state != State::Ready) continue;
      lanes_[at].state = State::Running;
      threadIdx.x = at;
      resume(*lanes_[at].worker);
      moved = true;
    }
    if (failure_ != nullptr) std::rethrow_exception(std::exchange(failure_, nullptr));
    if (!moved) throw Failure(stuck());
  }
  check_shared();
}

// What a worker does for ever.
void Block::call_lanes(Worker& worker) {
  for (;;) {
    while (next_lane_exists()) {
      worker.lane = lane_order_[next_++];
      lanes_[worker.lane].state = State::Running;
      lanes_[worker.lane].worker = &worker;
      threadIdx.x = worker.lane;
      try {
        launch_->thread();
      } catch (const std::exception&) {  // not what unwinds a fiber
        failure_ = std::current_exception();
      }
      lanes_[worker.lane].state = State::Done;
      ++done_;
    }
    idle_.push_back(&worker);
    scheduler_ = std::move(scheduler_).resume();
  }
}

void Block::resume(Worker& worker) {
  current_ = &worker;
  worker.fiber = std::move(worker.fiber).resume();
  current_ = nullptr;
}

void Block::wait(Lane& lane) {
  lane.state = State::Waiting;
  scheduler_ = std::move(scheduler_).resume();
}

std::uint64_t Block::meet(Meeting meeting, unsigned mask, std::uint64_t value, int source, const Place& place) {
  if (current_ == nullptr) throw Failure("a barrier or shuffle outside a kernel");
  const unsigned index = current_->lane;
  Lane& lane = lanes_[index];
  lane.meeting = meeting;
  lane.mask = mask;
  lane.value = value;
  lane.source = source;
  lane.place = place;
  if (meeting == Meeting::Barrier) {
    if (++at_barrier_ < count_) {
      wait(lane);
    } else {
      release_barrier();
    }
  } else {
    if ((mask >> index % warpSize & 1u) == 0) throw Failure("a lane is not in its own mask at " + text_of(place));
    if (!complete(index)) wait(lane);
  }
  return lane.result;
}

void Block::release_barrier() {
  const Place& here = lanes_[current_->lane].place;
  for (Lane& lane : lanes_) {
    if (!same_place(lane.place, here)) {
      throw Failure("divergent barrier: lanes of one block wait at " + text_of(lane.place) + " and " + text_of(here));
    }
    if (lane.state == State::Waiting) lane.state = State::Ready;
  }
  at_barrier_ = 0;
}

// Whether all lanes of the mask of lane `index` have come; then they have their results.
bool Block::complete(unsigned index) {
  const Lane& self = lanes_[index];
  const unsigned first = index / warpSize * warpSize;
  for (unsigned i = 0; i < static_cast<unsigned>(warpSize); ++i) {
    if ((self.mask >> i & 1u) == 0) continue;
    const bool gone = first + i >= count_ || lanes_[first + i].state == State::Done;
    if (gone) throw Failure("a mask names lane " + std::to_string(i) + ", which has exited, at " + text_of(self.place));
    const Lane& lane = lanes_[first + i];
    const bool here = first + i == index || lane.state == State::Waiting;
    if (!here || lane.meeting != self.meeting || lane.mask != self.mask || !same_place(lane.place, self.place))
      return false;
  }
  for (unsigned i = 0; i < static_cast<unsigned>(warpSize); ++i) {
    if ((self.mask >> i & 1u) == 0) continue;
    Lane& lane = lanes_[first + i];
    if ((self.mask >> lane.source & 1u) == 0) {
      throw Failure("a shuffle reads lane " + std::to_string(lane.source) + ", which its mask does not name, at " +
                    text_of(self.place));
    }
    lane.result = lanes_[first + static_cast<unsigned>(lane.source)].value;
    if (first + i != index) lane.state = State::Ready;
  }
  return true;
}

std::string Block::stuck() const {
  std::map<std::string, unsigned> lanes_at;
  bool barrier = false;
  for (const Lane& lane : lanes_) {
    if (lane.state == State::Done) {
      ++lanes_at["have exited"];
      continue;
    }
    barrier = barrier || lane.meeting == Meeting::Barrier;
    const char* what = lane.meeting == Meeting::Barrier ? "wait at the barrier " : "wait for lanes of their mask at ";
    ++lanes_at[what + text_of(lane.place)];
  }
  std::string text = barrier ? "divergent barrier:" : "lanes missing from a mask:";
  const char* comma = " ";
  for (const auto& [where, lanes] : lanes_at) {
    text += comma + std::to_string(lanes) + " lanes " + where;
    comma = ", ";
  }
  return text;
}

}  // namespace winnow::emulator
