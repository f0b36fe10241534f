// The oracles of density allocation: LeNet-300-100 and ResNet-20, computed independently in double precision.
#include "experiments/methods/toolkit/allocation.h"

#include <gtest/gtest.h>

#include "experiments/methods/toolkit/selection.h"

namespace winnow {
namespace {

std::vector<LayerSize> sizes(const std::vector<Shape>& shapes) {
  std::vector<LayerSize> layers;
  for (const Shape& shape : shapes) layers.push_back({shape, shape.numel()});
  return layers;
}

std::vector<LayerSize> lenet() { return sizes({{300, 784}, {100, 300}, {10, 100}}); }

std::vector<LayerSize> resnet20(bool projections = false) {
  std::vector<Shape> shapes = {{16, 3, 3, 3}};
  for (int i = 0; i < 6; ++i) shapes.push_back({16, 16, 3, 3});
  shapes.push_back({32, 16, 3, 3});
  for (int i = 0; i < 5; ++i) shapes.push_back({32, 32, 3, 3});
  shapes.push_back({64, 32, 3, 3});
  for (int i = 0; i < 5; ++i) shapes.push_back({64, 64, 3, 3});
  if (projections) {
    shapes.push_back({32, 16, 1, 1});
    shapes.push_back({64, 32, 1, 1});
  }
  shapes.push_back({10, 64});
  return sizes(shapes);
}

std::vector<std::int64_t> counts(const Allocation& spread, const std::vector<LayerSize>& layers) {
  std::vector<std::int64_t> kept;
  for (std::size_t l = 0; l < layers.size(); ++l) {
    kept.push_back(kept_count(layers[l].numel, 1 - spread.densities[l]));
  }
  return kept;
}

std::int64_t total_of(const std::vector<std::int64_t>& values) {
  std::int64_t total = 0;
  for (const std::int64_t value : values) total += value;
  return total;
}

using Counts = std::vector<std::int64_t>;

TEST(Allocation, LeNetMatchesSpecificationOracle) {
  const auto layers = lenet();
  const Allocation at90 = allocate(Distribution::Er, .9, layers);
  EXPECT_NEAR(at90.epsilon, 17.264151, 5e-7);
  EXPECT_EQ(at90.dense, std::vector<std::size_t>{2});
  EXPECT_NEAR(at90.densities[0], .079568, 5e-7);
  EXPECT_NEAR(at90.densities[1], .230189, 5e-7);
  EXPECT_EQ(at90.densities[2], 1);
  EXPECT_EQ(counts(at90, layers), (Counts{18715, 6906, 1000}));

  const Allocation at95 = allocate(Distribution::Er, .95, layers);
  EXPECT_NEAR(at95.epsilon, 8.350063, 5e-7);
  EXPECT_NEAR(at95.densities[2], .918507, 5e-7);
  EXPECT_EQ(counts(at95, layers), (Counts{9052, 3341, 919}));
  EXPECT_EQ(counts(allocate(Distribution::Erk, .98, layers), layers), (Counts{3621, 1337, 368}));
}

TEST(Allocation, ResNet20ErkMatchesSpecificationTable) {
  const auto layers = resnet20();
  const Allocation spread = allocate(Distribution::Erk, .9, layers);
  EXPECT_NEAR(spread.epsilon, 18.356125, 5e-7);
  EXPECT_EQ(spread.dense, (std::vector<std::size_t>{0, 19}));
  const std::vector<std::pair<std::size_t, double>> densities = {
      {1, .302749}, {7, .215111}, {8, .139424}, {13, .101580}, {14, .066724}};
  for (const auto& [layer, density] : densities) {
    EXPECT_NEAR(spread.densities[layer], density, 5e-7) << layer;
  }
  const Counts kept = counts(spread, layers);
  EXPECT_EQ(kept, (Counts{432,  698,  698,  698,  698,  698,  698,  992,  1285, 1285,
                          1285, 1285, 1285, 1873, 2460, 2460, 2460, 2460, 2460, 640}));
  EXPECT_EQ(total_of(kept), 26850);
}

TEST(Allocation, ResNet20OtherSparsitiesMatchSpecification) {
  const auto layers = resnet20();
  const Allocation at95 = allocate(Distribution::Erk, .95, layers);
  EXPECT_NEAR(at95.epsilon, 8.948915, 5e-7);
  EXPECT_EQ(at95.dense, std::vector<std::size_t>{19});
  EXPECT_NEAR(at95.densities[0], .517877, 5e-7);
  EXPECT_NEAR(at95.densities[14], .032529, 5e-7);
  const Allocation at98 = allocate(Distribution::Erk, .98, layers);
  EXPECT_NEAR(at98.epsilon, 3.580173, 5e-7);
  EXPECT_TRUE(at98.dense.empty());
  EXPECT_NEAR(at98.densities[0], .207186, 5e-7);
  EXPECT_NEAR(at98.densities[19], .413958, 5e-7);
}

TEST(Allocation, ResNet20WithoutKernelsMatchesSpecification) {
  const auto layers = resnet20();
  const Allocation spread = allocate(Distribution::Er, .9, layers);
  EXPECT_NEAR(spread.epsilon, 2.254094, 5e-7);
  EXPECT_TRUE(spread.dense.empty());
  const Counts kept = counts(spread, layers);
  EXPECT_EQ(kept[0], 386);
  EXPECT_EQ(kept[1], 650);
  EXPECT_EQ(kept[7], 974);
  EXPECT_EQ(kept[8], 1299);
  EXPECT_EQ(kept[13], 1948);
  EXPECT_EQ(kept[14], 2597);
  EXPECT_EQ(kept[19], 167);
  EXPECT_EQ(total_of(kept), 26855);
}

TEST(Allocation, ProjectionsMatchSpecification) {
  const auto layers = resnet20(true);
  const Allocation spread = allocate(Distribution::Erk, .9, layers);
  EXPECT_NEAR(spread.epsilon, 16.993451, 5e-7);
  EXPECT_EQ(spread.dense, (std::vector<std::size_t>{19, 21}));
  EXPECT_NEAR(spread.densities[0], .983417, 5e-7);
}

TEST(Allocation, LayersWithTheirOwnDensityTakeNoPart) {
  auto layers = lenet();
  layers[2].fixed = .2;
  const Allocation spread = allocate(Distribution::Er, .9, layers);
  EXPECT_EQ(spread.densities[2], .2);
  const auto rest = sizes({{300, 784}, {100, 300}});
  const Allocation alone = allocate(Distribution::Er, .9, rest);
  EXPECT_EQ(spread.densities[0], alone.densities[0]);
  EXPECT_EQ(spread.densities[1], alone.densities[1]);
}

TEST(Allocation, FullDensityAndUniformAreExact) {
  for (const Distribution distribution : {Distribution::Uniform, Distribution::Er, Distribution::Erk}) {
    for (const double density : allocate(distribution, 0, resnet20()).densities) {
      EXPECT_EQ(density, 1);
    }
  }
  EXPECT_EQ(counts(allocate(Distribution::Erk, .9, lenet(), 0), lenet()),
            counts(allocate(Distribution::Uniform, .9, lenet()), lenet()));
}

}  // namespace
}  // namespace winnow
