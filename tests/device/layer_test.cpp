// Layers as a device computes them, each direction, against their definition on the CPU: by cuBLASLt and cuDNN (on the emulator
// by their stand-ins), and by the definition as kernels. The same bits at every run and in a replay, whatever was in the scratch.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <ostream>
#include <string>
#include <vector>

#include "core/memory.h"
#include "kernels/cuda/layers.h"
#include "kernels/cuda/vendor/convolution_plans.h"
#include "kernels/direct_layer.h"
#include "kernels/rng.h"
#include "tests/device/emulated.h"

namespace winnow::test {
namespace {

struct LayerCase {
  std::string name;
  ConvShape shape;
  Direction direction;
  bool by_definition;
  friend std::ostream& operator<<(std::ostream& stream, const LayerCase& of) { return stream << of.name; }
};

using Bytes = std::vector<std::byte>;

Bytes random_numbers(std::int64_t count, DType dtype, const std::string& stream) {
  Bytes bytes(static_cast<std::size_t>(count * size_of(dtype)));
  for (std::int64_t i = 0; i < count; ++i) {
    const float value = 2 * uniform_at({7, stream_id(stream), 0}, static_cast<std::uint64_t>(i)) - 1;
    if (dtype == DType::F32) reinterpret_cast<float*>(bytes.data())[i] = value;
    if (dtype == DType::BF16) reinterpret_cast<bf16*>(bytes.data())[i] = from_float<bf16>(value);
  }
  return bytes;
}

double number(const Bytes& bytes, DType dtype, std::size_t i) {
  return dtype == DType::F32 ? reinterpret_cast<const float*>(bytes.data())[i]
                             : to_float(reinterpret_cast<const bf16*>(bytes.data())[i]);
}

// Rows of `channels` numbers with zeros behind them.
Bytes padded_numbers(std::int64_t rows, std::int64_t channels, std::int64_t padded, DType dtype,
                     const std::string& stream) {
  const Bytes packed = random_numbers(rows * channels, dtype, stream);
  Bytes bytes(static_cast<std::size_t>(rows * padded * size_of(dtype)));
  for (std::int64_t row = 0; row < rows; ++row) {
    std::copy_n(packed.begin() + row * channels * size_of(dtype), channels * size_of(dtype),
                bytes.begin() + row * padded * size_of(dtype));
  }
  return bytes;
}

// The operands of a layer; which of them are results, the direction says.
struct Operands {
  explicit Operands(const ConvShape& s)
      : x(padded_numbers(s.batch * s.height * s.width, s.in, s.x_channels(), s.dtype, "x")),
        weights(random_numbers(s.out * (s.in / s.groups) * s.kernel_h * s.kernel_w, DType::F32, "weights")),
        bias(random_numbers(s.out, DType::F32, "bias")),
        y(random_numbers(s.batch * s.out_height() * s.out_width() * s.out, s.dtype, "y")),
        sums(random_numbers(2 * s.out, DType::F32, "sums")) {}
  Bytes x, weights, bias, y, sums;
  std::vector<Bytes*> all() { return {&x, &weights, &bias, &y, &sums}; }
};

// What a layer that writes sums has to leave there, of y as the definition has it.
void sum_by_channel(const ConvShape& s, Operands& of) {
  const auto channels = static_cast<std::size_t>(s.out);
  std::vector<double> sums(2 * channels);
  for (std::size_t i = 0; i < of.y.size() / static_cast<std::size_t>(size_of(s.dtype)); ++i) {
    const double y = number(of.y, s.dtype, i);
    sums[i % channels] += y;
    sums[channels + i % channels] += y * y;
  }
  for (std::size_t c = 0; c < sums.size(); ++c)
    reinterpret_cast<float*>(of.sums.data())[c] = static_cast<float>(sums[c]);
}

class DeviceLayer : public testing::TestWithParam<LayerCase> {};

TEST_P(DeviceLayer, ComputesItsDefinition) {
  const auto& [name, shape, direction, by_definition] = GetParam();
  Operands expected(shape);
  DirectLayer definition(shape, direction);
  Memory scratch(nullptr, definition.scratch_bytes());
  definition.run(
      {expected.x.data(), expected.weights.data(), shape.bias ? expected.bias.data() : nullptr, expected.y.data()},
      Exec{.scratch = scratch.get()});
  if (shape.sums) sum_by_channel(shape, expected);
  in_every_order([&] {
    const auto stream = open_device();
    const std::unique_ptr<PlannedLayer> layer =
        by_definition ? std::make_unique<DirectLayer>(shape, direction) : cuda::make_layer(shape, direction);
    RecordProperty("implementation", layer->implementation());
    const bool no_library = by_definition || (shape.groups > 1 && direction != Direction::Forward);
    if (kEmulated) {
      EXPECT_EQ(layer->implementation() == "direct", no_library) << layer->implementation();
      EXPECT_EQ(layer->writes_sums(), shape.sums);
    } else if (shape.sums && !layer->writes_sums()) {
      GTEST_SKIP() << "cuDNN has no plan with sums for it";
    }
    Operands found(shape);
    std::vector<Memory> memory;
    for (Bytes* operand : found.all()) memory.emplace_back(stream, operand->size());
    // Aligned to 64 bytes and no more, with as much before and behind it that is not the layer's.
    const std::size_t scratch_bytes = layer->scratch_bytes(), margin = (scratch_bytes / 256 + 1) * 256 + 64;
    const Bytes noise(margin + scratch_bytes + margin, std::byte{0xff});
    const Memory workspace(stream, noise.size());
    const LayerBuffers buffers{memory[0].get(), memory[1].get(), shape.bias ? memory[2].get() : nullptr,
                               memory[3].get(), shape.sums ? memory[4].get() : nullptr};
    const Exec exec{.device = Device::Cuda, .stream = stream->queue(), .scratch = workspace.get() + margin};
    std::unique_ptr<Recording> recording;
    std::vector<Bytes> first;
    for (int round = 0; round < 4; ++round) {
      Operands now(shape);
      for (std::size_t i = 0; i < memory.size(); ++i) {
        stream->upload(memory[i].get(), now.all()[i]->data(), now.all()[i]->size());
      }
      stream->upload(workspace.get(), noise.data(), noise.size());
      if (round == 2) recording = stream->record([&] { layer->run(buffers, exec); });
      recording ? recording->replay() : layer->run(buffers, exec);
      std::vector<Bytes> results;
      for (std::size_t i = 0; i < memory.size(); ++i) {
        stream->download(now.all()[i]->data(), memory[i].get(), memory[i].bytes());
        results.push_back(*now.all()[i]);
      }
      Bytes left(noise.size());
      stream->download(left.data(), workspace.get(), left.size());
      EXPECT_TRUE(std::equal(left.begin(), left.begin() + static_cast<std::ptrdiff_t>(margin), noise.begin()))
          << "wrote before its scratch memory";
      EXPECT_TRUE(std::equal(left.end() - static_cast<std::ptrdiff_t>(margin), left.end(), noise.begin()))
          << "wrote behind its scratch memory";
      if (round == 0) first = results;
      EXPECT_EQ(results, first) << "round " << round << " by " << layer->implementation();
    }
    const double tolerance = shape.dtype == DType::BF16 ? 1e-2 : 1e-4;
    for (std::size_t k = 0; k < first.size(); ++k) {
      const DType dtype = k == 0 || k == 3 ? shape.dtype : DType::F32;
      if (k == 4 && !shape.sums) continue;
      const Bytes& right = *expected.all()[k];
      const std::size_t count = right.size() / static_cast<std::size_t>(size_of(dtype));
      double largest = 0, off = 0;
      for (std::size_t i = 0; i < count; ++i) {
        const double here = number(first[k], dtype, i), there = number(right, dtype, i);
        largest = std::max(largest, std::abs(there));
        off = std::max(off, std::isnan(here) ? HUGE_VAL : std::abs(here - there));
      }
      EXPECT_LE(off, tolerance * largest) << "operand " << k << " by " << layer->implementation();
    }
  });
}

std::vector<LayerCase> layer_cases() {
  const ConvShape base{.batch = 4,
                       .height = 6,
                       .width = 8,
                       .in = 16,
                       .out = 16,
                       .kernel_h = 3,
                       .kernel_w = 3,
                       .stride = 1,
                       .pad = 1,
                       .groups = 1,
                       .dtype = DType::F32,
                       .bias = false};
  const auto with = [&base](const auto& change) {
    ConvShape shape = base;
    change(shape);
    return shape;
  };
  const std::vector<std::pair<std::string, ConvShape>> shapes = {
      {"same_channels", base},
      {"first_layer", with([](ConvShape& s) { s.in = 3, s.bias = true; })},
      {"fitted_first_layer", with([](ConvShape& s) { s.in = 3, s.padded_in = 8, s.bias = true; })},
      {"fitted_pointwise",
       with([](ConvShape& s) { s.in = 3, s.padded_in = 8, s.kernel_h = s.kernel_w = 1, s.pad = 0; })},
      {"fitted_with_sums", with([](ConvShape& s) { s.in = 1, s.padded_in = 8, s.sums = true; })},
      {"stride_2", with([](ConvShape& s) { s.out = 32, s.stride = 2; })},
      {"pointwise", with([](ConvShape& s) { s.out = 32, s.kernel_h = s.kernel_w = 1, s.pad = 0; })},
      {"pointwise_stride_2",
       with([](ConvShape& s) { s.out = 32, s.kernel_h = s.kernel_w = 1, s.pad = 0, s.stride = 2; })},
      {"tall_kernel", with([](ConvShape& s) { s.kernel_h = 5; })},
      {"lenet", with([](ConvShape& s) { s.in = 6, s.kernel_h = s.kernel_w = 5, s.pad = 0, s.bias = true; })},
      // So many that the gradient of the bias has partial sums, beside operands with more channels than the layer has.
      {"many_rows",
       with([](ConvShape& s) { s.batch = 5, s.height = s.width = 30, s.in = 3, s.out = 5, s.bias = true; })},
      {"depthwise", with([](ConvShape& s) { s.groups = 16; })},
      {"with_sums", with([](ConvShape& s) { s.sums = true; })},
      {"first_layer_with_sums", with([](ConvShape& s) { s.in = 3, s.sums = true; })},
      {"pointwise_with_sums",
       with([](ConvShape& s) { s.out = 32, s.kernel_h = s.kernel_w = 1, s.pad = 0, s.sums = true; })},
      {"linear", with([](ConvShape& s) {
         s.batch = 32, s.height = s.width = s.kernel_h = s.kernel_w = 1, s.pad = 0, s.in = 49, s.out = 10,
         s.bias = true;
       })},
  };
  std::vector<LayerCase> cases;
  for (const auto& [name, shape] : shapes) {
    for (const DType dtype : {DType::F32, DType::BF16}) {
      for (const auto& [direction, way] :
           {std::pair(Direction::Forward, "forward"), std::pair(Direction::BackwardData, "data"),
            std::pair(Direction::BackwardWeights, "weights")}) {
        for (const bool by_definition : {false, true}) {
          if (shape.sums && (by_definition || direction != Direction::Forward)) continue;
          if (shape.padded_in > 0 && (dtype == DType::F32 || direction == Direction::BackwardData)) continue;
          const std::string by = by_definition ? "_by_definition" : "";
          cases.push_back({name + "_" + name_of(dtype) + "_" + way + by, shape, direction, by_definition});
          cases.back().shape.dtype = dtype;
          if (direction == Direction::BackwardData) cases.back().shape.bias = false;
        }
      }
    }
  }
  return cases;
}

const ConvShape kPlain{.batch = 2,
                       .height = 6,
                       .width = 6,
                       .in = 8,
                       .out = 16,
                       .kernel_h = 3,
                       .kernel_w = 3,
                       .stride = 1,
                       .pad = 1,
                       .groups = 1,
                       .dtype = DType::BF16,
                       .bias = false};

// Bias, groups, a stride for which the stand-in has no plan, and channels that are padded: as if no sums had been asked for.
TEST(DeviceLayer, IsTheUsualOneWhereNobodyHasSums) {
  const auto stream = open_device();
  const auto expect_usual = [&](const auto& change) {
    ConvShape plain = kPlain;
    change(plain);
    ConvShape shape = plain;
    shape.sums = true;
    const auto usual = cuda::make_layer(plain, Direction::Forward), found = cuda::make_layer(shape, Direction::Forward);
    EXPECT_FALSE(found->writes_sums());
    EXPECT_EQ(found->implementation(), usual->implementation());
    EXPECT_EQ(found->scratch_bytes(), usual->scratch_bytes());
  };
  expect_usual([](ConvShape& s) { s.bias = true; });
  expect_usual([](ConvShape& s) { s.groups = 8; });
  expect_usual([](ConvShape& s) { s.out = 12; });
  expect_usual([](ConvShape& s) { s.out = 12, s.kernel_h = s.kernel_w = 1, s.pad = 0; });
  if (kEmulated) expect_usual([](ConvShape& s) { s.stride = 2; });
}

// The plan is that of a layer with eight channels, and what is saved is their copy.
TEST(DeviceLayer, TakesFittedChannelsWithoutACopyOfThem) {
  if (!kEmulated) GTEST_SKIP() << "cuDNN may be missing";
  const auto stream = open_device();
  ConvShape narrow = kPlain;
  narrow.in = 3, narrow.batch = 4;
  ConvShape fitted = narrow;
  fitted.padded_in = 8;
  for (const Direction direction : {Direction::Forward, Direction::BackwardWeights}) {
    const auto one = cuda::make_layer(narrow, direction), other = cuda::make_layer(fitted, direction);
    EXPECT_EQ(other->implementation(), one->implementation());
    EXPECT_EQ(other->scratch_bytes() + std::size_t{2 * 4 * 6 * 6 * 8}, one->scratch_bytes());
  }
}

#if defined(WINNOW_EMULATED)
// Of a GPU cuDNN may be missing.
TEST(DeviceLayer, APlanOfCudnnIsMadeOnceInAProcessAndStaysBesideThoseOfOtherShapes) {
  const auto stream = open_device();
  const auto plan = [](const ConvShape& of) { return cuda::vendor::convolution_plan(of, Direction::Forward); };
  const auto first = plan(kPlain);
  ASSERT_NE(first, nullptr);
  for (const auto extent : {&ConvShape::batch, &ConvShape::height, &ConvShape::width, &ConvShape::in, &ConvShape::out,
                            &ConvShape::kernel_h, &ConvShape::kernel_w, &ConvShape::stride, &ConvShape::pad}) {
    ConvShape other = kPlain;
    other.*extent *= 2;
    const auto another = plan(other);
    EXPECT_NE(another, nullptr);
    EXPECT_NE(another, first);
  }
  EXPECT_EQ(plan(kPlain), first);
}
#endif

INSTANTIATE_TEST_SUITE_P(Layers, DeviceLayer, testing::ValuesIn(layer_cases()),
                         [](const auto& at) { return at.param.name; });

}  // namespace
}  // namespace winnow::test
