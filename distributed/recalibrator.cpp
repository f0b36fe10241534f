#include "distributed/recalibrator.h"

#include <algorithm>
#include <vector>

namespace winnow {

void Recalibrator::recalibrate(std::int64_t first, std::int64_t batches, std::int64_t step) {
  if (params_.buffer_count() == 0) return;
  CompiledNetwork& net = programs_.compiled(network_.statistics(job_.rows()));
  for (std::size_t p = 0; p < params_.size(); ++p) {
    if (params_.specs()[p].retired) continue;
    net.program.bind(net.params[p], const_cast<float*>(params_.weight(ParamId(p)).data()));
  }
  std::vector<std::vector<float>> seen(params_.buffer_count());  // of one batch
  std::vector<std::vector<double>> sums(params_.buffer_count());
  for (std::size_t b = 0; b < seen.size(); ++b) {
    sums[b].resize(params_.buffer(b).size());
    seen[b].resize(sums[b].size());
    net.program.bind(net.buffers[b], seen[b].data());
  }
  for (std::int64_t at = first; at < first + batches; ++at) {
    const Batch& batch = source_.batch(at);
    net.program.feed(net.images, batch.images.data);
    for (std::size_t b = 0; b < seen.size(); ++b) std::ranges::copy(params_.buffer(b), seen[b].begin());
    net.program.run(
        {.seed = job_.seeds.dropout, .step = static_cast<std::uint32_t>(step), .first_row = batch.first_row});
    job_.observer.working();
    for (std::size_t b = 0; b < seen.size(); ++b) {
      for (std::size_t i = 0; i < seen[b].size(); ++i) sums[b][i] += static_cast<double>(seen[b][i]);
    }
  }
  const auto count = static_cast<double>(batches * job_.comm.size());
  for (std::size_t b = 0; b < sums.size(); ++b) {
    job_.comm.all_reduce_sum(std::span(sums[b]));
    const auto mean = params_.change_buffer(b);
    for (std::size_t i = 0; i < mean.size(); ++i) mean[i] = static_cast<float>(sums[b][i] / count);
  }
  job_.observer.recalibrated(batches * job_.batch());
}

}  // namespace winnow
