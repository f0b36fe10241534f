// A linear layer and its gradients as one contraction each (contraction.h). Owns no memory but its
// few numbers; see layer.h.
#pragma once

#include <vector>

#include "kernels/cpu/contraction.h"
#include "kernels/cpu/pack.h"
#include "kernels/layer.h"

namespace winnow::cpu {

class TiledLinear final : public PlannedLayer {
 public:
  // Can it run here? In bf16 the summed extent must be even, so that words do not cross rows.
  static bool suits(const LinearShape& shape, Direction direction);

  TiledLinear(const LinearShape& shape, Direction direction, int threads);
  std::size_t scratch_bytes() const override;
  void run(const LayerBuffers& buffers, const Exec& exec) override;
  std::string implementation() const override { return "tiles"; }

 private:
  std::int64_t depth() const;  // elements of a sum
  Order order() const;         // of the weights, as B
  // Weights packed panel by panel, each used while it is in the cache. One thread.
  void contract_panels(const void* a, const float* weights, const float* bias, void* c, std::byte* scratch) const;
  // B packed whole or as it lies; threads share the rows of C.
  void contract_rows(const void* a, const void* b, const float* bias, void* c) const;
  void backward_weights(const LayerBuffers& buffers, std::byte* scratch) const;

  LinearShape shape_;
  Direction direction_;
  int threads_;
  std::vector<std::int64_t> a_rows_;
  Contraction contraction_;
};

}  // namespace winnow::cpu
