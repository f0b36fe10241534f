// Speed of the layers of the four benchmark models, by op: GFLOP/s of convolutions and linear
// layers, GB/s of batch norm and pooling. Usage: bench_ops [batch] [threads] [name filter]. A
// program to tune with, not a test.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "kernels/cpu/batch_norm.h"
#include "kernels/cpu/layers.h"
#include "kernels/cpu/pool.h"
#include "kernels/processor.h"

namespace winnow {
namespace {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// Least seconds of one call within about a quarter of a second: other programs only ever add to it.
template <class Body>
double seconds(const Body& body) {
  body();
  double least = 1e9;
  const double end = now() + 0.25;
  for (int i = 0; i < 5 || now() < end; ++i) {
    const double start = now();
    body();
    least = std::min(least, now() - start);
  }
  return least;
}

struct Buffer {
  explicit Buffer(std::int64_t bytes) : memory(static_cast<std::size_t>(bytes) + 64) {
    for (std::size_t i = 0; i < memory.size(); i += 2) memory[i] = std::byte(i % 61);  // no denormals, no NaN
    for (std::size_t i = 1; i < memory.size(); i += 2) memory[i] = std::byte(0x3c + i / 2 % 3);
  }
  std::byte* data() { return memory.data() + (64 - reinterpret_cast<std::uintptr_t>(memory.data()) % 64) % 64; }
  std::vector<std::byte> memory;
};

constexpr Direction kDirections[] = {Direction::Forward, Direction::BackwardData, Direction::BackwardWeights};
constexpr const char* kNames[] = {"fwd", "bwd data", "bwd weights"};

struct Layer {
  const char* model;
  std::int64_t size, in, out, kernel, stride, pad;  // size 0: linear
  bool bias;
};
// The distinct layers of each model; `model` says how often they come.
const Layer kLayers[] = {
    {"lenet-300-100", 0, 784, 300, 1, 1, 0, true}, {"lenet-300-100", 0, 300, 100, 1, 1, 0, true},
    {"lenet-300-100", 0, 100, 10, 1, 1, 0, true},  {"lenet-5", 28, 1, 20, 5, 1, 0, true},
    {"lenet-5", 12, 20, 50, 5, 1, 0, true},        {"lenet-5", 0, 800, 500, 1, 1, 0, true},
    {"lenet-5", 0, 500, 10, 1, 1, 0, true},        {"resnet-20", 32, 3, 16, 3, 1, 1, false},
    {"resnet-20 x6", 32, 16, 16, 3, 1, 1, false},  {"resnet-20", 32, 16, 32, 3, 2, 1, false},
    {"resnet-20 x5", 16, 32, 32, 3, 1, 1, false},  {"resnet-20", 16, 32, 64, 3, 2, 1, false},
    {"resnet-20 x5", 8, 64, 64, 3, 1, 1, false},   {"vgg-16", 32, 3, 64, 3, 1, 1, false},
    {"vgg-16", 32, 64, 64, 3, 1, 1, false},        {"vgg-16", 16, 64, 128, 3, 1, 1, false},
    {"vgg-16", 16, 128, 128, 3, 1, 1, false},      {"vgg-16", 8, 128, 256, 3, 1, 1, false},
    {"vgg-16 x2", 8, 256, 256, 3, 1, 1, false},    {"vgg-16", 4, 256, 512, 3, 1, 1, false},
    {"vgg-16 x2", 4, 512, 512, 3, 1, 1, false},    {"vgg-16 x3", 2, 512, 512, 3, 1, 1, false},
};

void run_layer(const Layer& layer, std::int64_t batch, int threads) {
  const bool linear = layer.size == 0;
  const std::int64_t size = linear ? 1 : layer.size;
  for (const DType type : {DType::F32, DType::BF16}) {
    const ConvShape conv{batch,        size,         size,      layer.in, layer.out, layer.kernel,
                         layer.kernel, layer.stride, layer.pad, 1,        type,      layer.bias};
    Buffer x(batch * size * size * layer.in * size_of(type)), w(layer.out * layer.in * layer.kernel * layer.kernel * 4),
        b(layer.out * 4), y(batch * conv.out_height() * conv.out_width() * layer.out * size_of(type));
    for (std::size_t i = 0; i < 3; ++i) {
      const auto print = [&](auto shape) {
        const std::string chosen = cpu::make_layer(shape, kDirections[i], threads)->implementation();
        for (const auto& way : cpu::every_layer(shape, kDirections[i], threads)) {
          Buffer scratch(static_cast<std::int64_t>(way->scratch_bytes()));
          const double time = seconds([&] {
            way->run({x.data(), w.data(), layer.bias && i != 1 ? b.data() : nullptr, y.data()},
                     {.scratch = scratch.data()});
          });
          fmt::print("{:14} {:2}x{:<2} {:3}->{:<3} k{} s{} {:4} {:11} {:8.3f} ms {:7.1f} GFLOP/s  {} {}\n", layer.model,
                     size, size, layer.in, layer.out, layer.kernel, layer.stride, name_of(type), kNames[i], time * 1e3,
                     2e-9 * static_cast<double>(conv.macs()) / time, way->implementation() == chosen ? "*" : " ",
                     way->implementation());
        }
      };
      if (linear) {
        print(LinearShape{batch, layer.in, layer.out, type, layer.bias});
      } else {
        print(conv);
      }
    }
  }
}

template <class T>
void run_norm(std::int64_t rows, std::int64_t channels, bool residual, int threads) {
  const cpu::BatchNormShape shape{rows, channels, false, true, 1e-5f, 0.1f};
  const std::int64_t bytes = rows * channels * static_cast<std::int64_t>(sizeof(T));
  Buffer x(bytes), y(bytes), r(bytes), dy(bytes), dr(bytes), params(8 * channels * 4),
      scratch(static_cast<std::int64_t>(shape.scratch_bytes()));
  const auto as = [](Buffer& buffer) { return reinterpret_cast<T*>(buffer.data()); };
  const auto param = [&](std::int64_t i) { return reinterpret_cast<float*>(params.data()) + i * channels; };
  RunState state;
  const double forward = seconds([&] {
    cpu::batch_norm_forward<T>(
        shape,
        {as(x), residual ? as(r) : nullptr, param(0), param(1), param(2), param(3), as(y), param(4), param(5), &state},
        scratch.data(), threads);
  });
  const double backward = seconds([&] {
    cpu::batch_norm_backward<T>(shape,
                                {as(dy), as(x), residual ? as(y) : nullptr, param(0), param(1), param(4), param(5),
                                 as(dy), residual ? as(dr) : nullptr, param(6), param(7)},
                                scratch.data(), threads);
  });
  const double unit = static_cast<double>(bytes) * 1e-9;
  fmt::print(
      "batch norm + relu{} {:6}x{:<3} {:4} fwd {:7.3f} ms {:6.1f} GB/s   bwd {:7.3f} ms {:6.1f} "
      "GB/s\n",
      residual ? " + residual" : "", rows, channels, name_of(sizeof(T) == 2 ? DType::BF16 : DType::F32), forward * 1e3,
      (residual ? 4 : 3) * unit / forward, backward * 1e3, (residual ? 7 : 5) * unit / backward);
}

template <class T>
void run_pool(std::int64_t batch, std::int64_t size, std::int64_t channels, int threads) {
  const PoolShape shape{batch, size, size, channels, 2, 2, 2, 0};
  const std::int64_t elements = batch * size * size * channels;
  const auto width = static_cast<std::int64_t>(sizeof(T));
  Buffer x(elements * width), y(elements / 4 * width), winner(elements / 4);
  T *tx = reinterpret_cast<T*>(x.data()), *ty = reinterpret_cast<T*>(y.data());
  auto* place = reinterpret_cast<std::uint8_t*>(winner.data());
  const double forward = seconds([&] { cpu::max_pool_forward(shape, tx, ty, place, threads); });
  const double backward = seconds([&] { cpu::max_pool_backward(shape, ty, place, tx, threads); });
  const double bytes = static_cast<double>(elements * width + elements / 4 * (width + 1)) * 1e-9;
  fmt::print(
      "max pool 2x2 {:2}x{:<2}x{:<3} {:4} fwd {:7.3f} ms {:6.1f} GB/s   bwd {:7.3f} ms {:6.1f} "
      "GB/s\n",
      size, size, channels, name_of(width == 2 ? DType::BF16 : DType::F32), forward * 1e3, bytes / forward,
      backward * 1e3, bytes / backward);
}

int run(std::int64_t batch, int threads, const std::string& filter) {
  flush_denormals(threads);
  const auto wanted = [&](const std::string& name) { return name.find(filter) != std::string::npos; };
  for (const Layer& layer : kLayers) {
    if (wanted(layer.model)) run_layer(layer, batch, threads);
  }
  if (wanted("batch norm")) {
    for (const auto& [size, channels] : {std::pair{32, 16}, {16, 32}, {8, 64}, {32, 64}, {8, 256}, {2, 512}}) {
      for (const bool residual : {false, true}) {
        run_norm<float>(batch * size * size, channels, residual, threads);
        run_norm<bf16>(batch * size * size, channels, residual, threads);
      }
    }
  }
  if (wanted("max pool")) {
    for (const auto& [size, channels] : {std::pair{24, 20}, {8, 50}, {32, 64}, {8, 256}}) {
      run_pool<float>(batch, size, channels, threads);
      run_pool<bf16>(batch, size, channels, threads);
    }
  }
  return 0;
}

}  // namespace
}  // namespace winnow

int main(int argc, char** argv) {
  return winnow::run(argc > 1 ? std::atoll(argv[1]) : 128, argc > 2 ? std::atoi(argv[2]) : 1, argc > 3 ? argv[3] : "");
}
