// A layer in bf16 on a processor on which nothing multiplies bf16 (no AVX-512): operands are widened to
// f32, weights rounded to bf16 as everywhere else, and the sums stay f32, so a trial means the same there
// as on other processors. Right, not fast: `precision: auto` takes f32 there. Ownership and threads as in layer.h.
#pragma once

#include <memory>

#include "kernels/layer.h"

namespace winnow::cpu {

class WidenedLayer final : public PlannedLayer {
 public:
  // How many entries the operands have.
  struct Sizes {
    std::int64_t x, weights, y;
  };
  // `layer` computes the same in f32.
  WidenedLayer(std::unique_ptr<PlannedLayer> layer, const Sizes& sizes, Direction direction, int threads);
  std::size_t scratch_bytes() const override;
  void run(const LayerBuffers& buffers, const Exec& exec) override;
  std::string implementation() const override;

 private:
  std::unique_ptr<PlannedLayer> layer_;
  Sizes sizes_;
  Direction direction_;
  int threads_;
};

}  // namespace winnow::cpu
