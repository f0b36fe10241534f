// The weight gradient of a convolution as contractions over the pixels of many images. In f32 dy,
// and x without padding, are read where they lie; else words are made of a block of images at a
// time. Every sum is taken by one thread in one order, so any thread count gives the same bits. See layer.h.
#pragma once

#include <vector>

#include "kernels/cpu/contraction.h"
#include "kernels/layer.h"

namespace winnow::cpu {

class TiledWeightGradient final : public PlannedLayer {
 public:
  static bool suits(const ConvShape& shape);
  static std::int64_t image_bytes(const ConvShape& shape);  // as words

  TiledWeightGradient(const ConvShape& shape, int threads);
  std::size_t scratch_bytes() const override;
  void run(const LayerBuffers& buffers, const Exec& exec) override;
  std::string implementation() const override { return "tiles"; }

 private:
  std::size_t row_bytes() const;  // of a padded row of x, where words are made of it
  void make_words(const LayerBuffers& buffers, std::int64_t image, std::uint32_t* x, std::uint32_t* dy,
                  bf16* row) const;
  void arrange(const float* sums, float* spare, float* weights) const;

  ConvShape shape_;
  int threads_;
  bool copies_x_, copies_dy_;  // or are they words as they lie?
  bool channels_out_;          // are the columns of the sums channels of dy, or pixels and channels of x?
  std::int64_t block_;         // images summed at a time, whose words stay in the cache
  std::vector<std::int64_t> a_rows_;
  Contraction contraction_;
};

}  // namespace winnow::cpu
