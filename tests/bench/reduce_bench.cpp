// Bandwidth of sums over the ranks of a job: from device to device as trials sum (DeviceRanks), or over MPI on the host.
// usage: mpirun -n N bench_reduce cuda|cpu [MOST]   MOST: MiB of the largest message, 256 without it
// Rank 0 prints one JSON object. Figures are those of nccl-tests: the bus bandwidth of an all-reduce is the bytes of a message
// over its time, times 2 (n - 1) / n, which is what each rank's link carries.
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/error.h"
#include "core/memory.h"
#include "distributed/communicator.h"
#include "distributed/device_ranks.h"
#include "kernels/gpus.h"

namespace winnow {
namespace {

// Floats of a rank, on its device or its host, that are summed over all ranks.
class Summed {
 public:
  virtual ~Summed() = default;
  virtual std::string where() const = 0;
  virtual void set(const std::vector<float>& values) = 0;
  virtual std::vector<float> get(std::size_t count) = 0;
  virtual void sum(std::size_t count, int times) = 0;  // ends when all sums are done
};

class OnHost final : public Summed {
 public:
  OnHost(Communicator& comm, std::size_t count) : comm_(comm), values_(count) {}
  std::string where() const override { return "host memory, MPI"; }
  void set(const std::vector<float>& values) override { std::ranges::copy(values, values_.begin()); }
  std::vector<float> get(std::size_t count) override {
    return {values_.begin(), values_.begin() + static_cast<std::ptrdiff_t>(count)};
  }
  void sum(std::size_t count, int times) override {
    for (int i = 0; i < times; ++i) comm_.all_reduce_sum(std::span(values_).first(count))->wait();
  }

 private:
  Communicator& comm_;
  std::vector<float> values_;
};

class OnDevice final : public Summed {
 public:
  OnDevice(Communicator& comm, std::size_t count, int gpu)
      : stream_(cuda::open_stream(gpu)), ranks_(comm, stream_), values_(stream_, count * sizeof(float)) {}
  std::string where() const override { return stream_->identity().model + ", NCCL"; }
  void set(const std::vector<float>& values) override {
    stream_->upload(values_.get(), values.data(), values.size() * sizeof(float));
    stream_->wait();
  }
  std::vector<float> get(std::size_t count) override {
    std::vector<float> values(count);
    stream_->download(values.data(), values_.get(), count * sizeof(float));
    return values;
  }
  void sum(std::size_t count, int times) override {
    ranks_.begin({"the sums of a measurement", times, static_cast<std::int64_t>(count * sizeof(float))});
    for (int i = 0; i < times; ++i) ranks_.sum(reinterpret_cast<float*>(values_.get()), count);
    ranks_.queue().wait();
  }

 private:
  std::shared_ptr<DeviceStream> stream_;
  DeviceRanks ranks_;
  Memory values_;
};

// Of the rank that took longest; ranks begin together.
double seconds_of(Communicator& comm, Summed& summed, std::size_t count, int times) {
  std::array<std::uint64_t, 1> word = {0};
  comm.all_reduce_max(word);
  const double start = seconds_now();
  summed.sum(count, times);
  word[0] = static_cast<std::uint64_t>(1e9 * (seconds_now() - start));
  comm.all_reduce_max(word);
  return 1e-9 * static_cast<double>(word[0]) / times;
}

void check_sum(Communicator& comm, Summed& summed, std::size_t count) {
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i) values[i] = static_cast<float>(comm.rank() + 1) + static_cast<float>(i % 7);
  summed.set(values);
  summed.sum(count, 1);
  values = summed.get(count);
  const int ranks = comm.size();
  for (std::size_t i = 0; i < count; ++i) {
    const float right =
        static_cast<float>(ranks * (ranks + 1) / 2) + static_cast<float>(ranks) * static_cast<float>(i % 7);
    if (values[i] != right) fail(ErrorKind::Internal, "element {} of {} is {}, not {}", i, count, values[i], right);
  }
}

nlohmann::ordered_json measure(Communicator& comm, Summed& summed, std::size_t most) {
  nlohmann::ordered_json sizes = nlohmann::ordered_json::array();
  check_sum(comm, summed, std::min<std::size_t>(most, 100'003));
  summed.set(std::vector<float>(most, 0.0F));  // that sums do not overflow
  for (std::size_t count = 1024; count <= most; count *= 4) {
    const double bytes = 4.0 * static_cast<double>(count);
    const int times = bytes < 4e6 ? 50 : 10;
    seconds_of(comm, summed, count, 2);
    const double seconds = seconds_of(comm, summed, count, times);
    const double ranks = comm.size();
    sizes.push_back({{"bytes", bytes},
                     {"seconds", seconds},
                     {"bytes_per_second", bytes / seconds},
                     {"bus_bytes_per_second", bytes / seconds * 2 * (ranks - 1) / ranks}});
  }
  return sizes;
}

int run(int argc, char** argv) {
  const std::string device = argc > 1 ? argv[1] : "";
  const int mebibytes = argc > 2 ? std::atoi(argv[2]) : 256;
  if ((device != "cpu" && device != "cuda") || mebibytes < 1 || mebibytes > 4096) {
    std::fprintf(stderr,
                 "usage: mpirun -n N bench_reduce cuda|cpu [MOST]   MOST: MiB of the largest message, 1 to 4096\n");
    return static_cast<int>(ErrorKind::Usage);
  }
  const std::unique_ptr<Communicator> world = make_world();
  try {
    const std::size_t most = static_cast<std::size_t>(mebibytes) << 18;
    std::unique_ptr<Summed> summed;
    if (device == "cuda") {
      const std::size_t gpus = cuda::survey_gpus != nullptr ? cuda::survey_gpus().gpus.size() : 0;
      if (gpus == 0) fail(ErrorKind::Unavailable, "no GPU, or built without CUDA");
      const auto place = static_cast<std::size_t>(world->on_node()->rank());
      summed = std::make_unique<OnDevice>(*world, most, static_cast<int>(place % gpus));
    } else {
      summed = std::make_unique<OnHost>(*world, most);
    }
    const nlohmann::ordered_json sizes = measure(*world, *summed, most);
    if (world->rank() == 0) {
      const nlohmann::ordered_json all = {{"where", summed->where()}, {"ranks", world->size()}, {"sizes", sizes}};
      std::printf("%s\n", all.dump(2).c_str());
    }
  } catch (const std::exception& error) {
    const auto* known = dynamic_cast<const Error*>(&error);
    std::fprintf(stderr, "bench_reduce: rank %d: %s\n", world->rank(), error.what());
    // The others may wait for this rank.
    if (world->size() > 1) world->abort(known != nullptr ? static_cast<int>(known->kind()) : 1);
    return known != nullptr ? static_cast<int>(known->kind()) : 1;
  }
  return 0;
}

}  // namespace
}  // namespace winnow

int main(int argc, char** argv) { return winnow::run(argc, argv); }
