#include "tests/device/summing_group.h"

#if defined(WINNOW_EMULATED)

#include <cuda_runtime.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "tests/emulator/emulator.h"

namespace winnow::test {

// What runs on devices is run by one thread at a time (tests/emulator/work.h), which has the emulator's lock; this mutex is for
// what the ranks do themselves. So it is taken after the emulator's, and nobody who has it calls the emulator.
struct SummingGroups::Board {
  struct Sum {
    std::vector<float*> data;  // by rank
    std::vector<std::size_t> counts;
    std::size_t here = 0, done = 0;
    std::vector<float> result;
  };
  std::mutex mutex;
  std::vector<Sum> sums;
  std::vector<std::size_t> next;                         // sum of each rank that runs next
  std::vector<char> aborted;                             // by rank
  std::vector<std::vector<std::size_t>> kernels_before;  // by rank, of each sum that it queued
  int opened = 0;
};

namespace {

using Board = SummingGroups::Board;

// Is called again and again until all ranks are here.
bool arrive(Board& board, std::size_t rank, float* data, std::size_t count) {
  const std::lock_guard lock(board.mutex);
  const std::size_t at = board.next[rank];
  if (board.sums.size() <= at) board.sums.resize(at + 1);
  Board::Sum& sum = board.sums[at];
  sum.data.resize(board.next.size());
  sum.counts.resize(board.next.size());
  if (sum.data[rank] == nullptr) {
    sum.data[rank] = data;
    sum.counts[rank] = count;
    ++sum.here;
  }
  return board.aborted[rank] != 0 || sum.here == board.next.size();
}

void add_up(Board& board, std::size_t rank, std::size_t count) {
  const std::lock_guard lock(board.mutex);
  if (board.aborted[rank] != 0) return;
  Board::Sum& sum = board.sums[board.next[rank]++];
  for (const std::size_t other : sum.counts) {
    if (other != count) throw emulator::Failure("ranks sum buffers of different lengths");
  }
  if (sum.done++ == 0) {
    sum.result.assign(count, 0.0f);
    for (const float* data : sum.data) {
      for (std::size_t i = 0; i < count; ++i) sum.result[i] += data[i];
    }
  }
  std::copy(sum.result.begin(), sum.result.end(), sum.data[rank]);
}

class SummingGroup final : public DeviceGroup {
 public:
  SummingGroup(std::shared_ptr<Board> board, int rank, DeviceStream& beside)
      : board_(std::move(board)), rank_(rank), stream_(beside.beside()) {}
  ~SummingGroup() override { abort(); }

  int rank() const override { return rank_; }
  int size() const override { return static_cast<int>(board_->next.size()); }
  DeviceStream& stream() override { return *stream_; }
  void all_reduce_sum(float* data, std::size_t count) override {
    check();
    if (!emulator::is_device_memory(data, count * sizeof(float))) throw std::logic_error("sums memory of no device");
    const auto rank = static_cast<std::size_t>(rank_);
    const cudaError_t status =
        emulator::enqueue("all_reduce_sum", static_cast<cudaStream_t>(stream_->queue()),
                          {.name = "all_reduce_sum",
                           .run = [board = board_, rank, count] { add_up(*board, rank, count); },
                           .ready = [board = board_, rank, data, count] { return arrive(*board, rank, data, count); }});
    if (status != cudaSuccess) throw std::runtime_error(cudaGetErrorString(status));
    const std::size_t kernels = emulator::counts(emulator::Within::Direct).kernels;
    const std::lock_guard lock(board_->mutex);
    board_->kernels_before[rank].push_back(kernels);
  }
  void check() override {
    const std::lock_guard lock(board_->mutex);
    if (board_->aborted[static_cast<std::size_t>(rank_)] != 0) throw std::runtime_error("the ranks were given up");
  }
  void abort() noexcept override {
    const std::lock_guard lock(board_->mutex);
    board_->aborted[static_cast<std::size_t>(rank_)] = 1;
  }

 private:
  std::shared_ptr<Board> board_;
  int rank_;
  std::shared_ptr<DeviceStream> stream_;
};

}  // namespace

SummingGroups::SummingGroups() : board_(std::make_shared<Board>()) {}

DeviceGroups SummingGroups::groups() {
  return {.new_id = [] { return std::vector<std::byte>(16, std::byte{7}); },
          .open = [board = board_, failing = fails_to_open](std::span<const std::byte> id, int rank, int size,
                                                            DeviceStream& stream,
                                                            const Patience& patience) -> std::unique_ptr<DeviceGroup> {
            if (id.size() != 16 || id[15] != std::byte{7}) throw std::runtime_error("the id did not arrive");
            if (rank == failing) throw std::runtime_error("no memory for the group");
            {
              const std::lock_guard lock(board->mutex);
              board->next.resize(static_cast<std::size_t>(size));
              board->aborted.resize(board->next.size());
              board->kernels_before.resize(board->next.size());
              ++board->opened;
            }
            const auto start = std::chrono::steady_clock::now();
            const auto all_here = [&] {
              const std::lock_guard lock(board->mutex);
              return board->opened >= size;
            };
            while (!all_here()) {
              patience(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
              std::this_thread::sleep_for(std::chrono::milliseconds(1));
            }
            return std::make_unique<SummingGroup>(board, rank, stream);
          }};
}

std::size_t SummingGroups::sums() const {
  const std::lock_guard lock(board_->mutex);
  return board_->sums.size();
}
std::vector<std::size_t> SummingGroups::kernels_before(int rank) const {
  const std::lock_guard lock(board_->mutex);
  return board_->kernels_before.at(static_cast<std::size_t>(rank));
}

}  // namespace winnow::test

#endif
