#include <cmath>
#include <map>
#include <set>
#include <tuple>

#include "experiments/data/image_transform.h"
#include "tests/data/fixtures.h"

namespace winnow {
namespace {

std::vector<std::uint8_t> noise_image(const DataShape& shape) {
  std::vector<std::uint8_t> image(static_cast<std::size_t>(shape.height * shape.width * shape.channels));
  for (std::size_t i = 0; i < image.size(); ++i) {
    image[i] = static_cast<std::uint8_t>(1 + below({5, 6, 7}, i, 255));
  }
  return image;
}

// Torchvision's order of things: pad with black, crop, mirror, then scale and normalise.
std::vector<double> reference(const std::vector<std::uint8_t>& image, const DataShape& shape,
                              const ImageStatistics& statistics, const Augmentation& how) {
  std::vector<double> out;
  for (std::int64_t y = 0; y < shape.height; ++y) {
    for (std::int64_t x = 0; x < shape.width; ++x) {
      const std::int64_t column = how.mirror ? shape.width - 1 - x : x;
      const std::int64_t from_y = y + how.dy, from_x = column + how.dx;
      const bool inside = from_y >= 0 && from_y < shape.height && from_x >= 0 && from_x < shape.width;
      for (std::int64_t c = 0; c < shape.channels; ++c) {
        const auto at = static_cast<std::size_t>((from_y * shape.width + from_x) * shape.channels + c);
        const double pixel = inside ? image[at] / 255.0 : 0.0;
        const auto k = static_cast<std::size_t>(c);
        out.push_back((pixel - statistics[k].mean) / statistics[k].deviation);
      }
    }
  }
  return out;
}

TEST(ImageTransform, EveryShiftAndMirrorMatchesPadCropFlipNormalise) {
  for (const std::int64_t channels : {1, 2, 3}) {
    const DataShape shape{6, 5, channels, 2};
    const ImageStatistics full{{0.49, 0.25}, {0.3, 0.2}, {0.11, 0.31}};
    const ImageTransform transform(shape, full);
    const std::vector<std::uint8_t> image = noise_image(shape);
    std::vector<float> out(image.size());
    for (int dy = -7; dy <= 7; ++dy) {
      for (int dx = -7; dx <= 7; ++dx) {
        for (const bool mirror : {false, true}) {
          const Augmentation how{dy, dx, mirror};
          transform.apply(image.data(), how, out.data());
          const std::vector<double> expected = reference(image, shape, full, how);
          for (std::size_t i = 0; i < out.size(); ++i) {
            ASSERT_NEAR(out[i], expected[i], 2e-6)
                << channels << " channels, shift " << dy << " " << dx << ", mirror " << mirror;
          }
        }
      }
    }
  }
}

TEST(ImageTransform, DefaultStatisticsLeavePixelsInUnitRange) {
  const DataShape shape{1, 3, 1, 2};
  const ImageTransform transform(shape, {ChannelStatistics{}});
  const std::vector<std::uint8_t> image = {0, 51, 255};
  std::vector<float> out(3);
  transform.apply(image.data(), {}, out.data());
  EXPECT_FLOAT_EQ(out[0], 0.0f);
  EXPECT_FLOAT_EQ(out[1], 0.2f);
  EXPECT_FLOAT_EQ(out[2], 1.0f);
}

TEST(Augmentation, EveryShiftAndMirrorIsEquallyLikely) {
  const AugmentRange range{2, true};
  std::map<int, int> dy, dx, mirror;
  std::set<std::tuple<int, int, bool>> all;
  constexpr int kDraws = 20000;
  for (std::uint64_t i = 0; i < kDraws; ++i) {
    const Augmentation how = draw_augmentation(range, {11, stream_id("augment"), 3}, i);
    all.emplace(how.dy, how.dx, how.mirror);
    ++dy[how.dy];
    ++dx[how.dx];
    ++mirror[how.mirror];
  }
  EXPECT_EQ(all.size(), 50u) << "shifts and mirror must not depend on each other";
  EXPECT_EQ(dy.size(), 5u);
  EXPECT_EQ(dx.size(), 5u);
  EXPECT_EQ(dy.begin()->first, -2);
  EXPECT_EQ(dx.rbegin()->first, 2);
  // Five standard deviations of a binomial count.
  for (const auto& [shift, count] : dy) EXPECT_NEAR(count, kDraws / 5, 283) << shift;
  for (const auto& [shift, count] : dx) EXPECT_NEAR(count, kDraws / 5, 283) << shift;
  EXPECT_NEAR(mirror[1], kDraws / 2, 354);
}

TEST(Augmentation, DependsOnSeedEpochAndPositionOnly) {
  const AugmentRange range{4, true};
  const auto epoch = [&](std::uint64_t seed, std::uint32_t step) {
    std::vector<std::tuple<int, int, bool>> all;
    for (std::uint64_t i = 0; i < 64; ++i) {
      const Augmentation how = draw_augmentation(range, {seed, stream_id("augment"), step}, i);
      all.emplace_back(how.dy, how.dx, how.mirror);
    }
    return all;
  };
  EXPECT_EQ(epoch(1, 0), epoch(1, 0));
  EXPECT_NE(epoch(1, 0), epoch(1, 1));
  EXPECT_NE(epoch(1, 0), epoch(2, 0));
}

TEST(Augmentation, WithoutMirrorNothingIsMirrored) {
  for (std::uint64_t i = 0; i < 200; ++i) {
    EXPECT_FALSE(draw_augmentation({2, false}, {1, 2, 3}, i).mirror);
  }
}

}  // namespace
}  // namespace winnow
