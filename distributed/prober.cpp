#include "distributed/prober.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace winnow {
namespace {

bool on_ones(const ProbeRequest& request) { return request.input == ProbeRequest::Input::Ones; }

// Adds the program's gradients, by parameter, to `sums`.
void add_gradients(const CompiledNetwork& net, std::vector<std::vector<double>>& sums) {
  for (const auto& [value, id] : net.gradients) {
    const auto grad = net.program.view(value).span<float>();
    auto& sum = sums[static_cast<std::size_t>(id)];
    sum.resize(grad.size());
    for (std::size_t i = 0; i < grad.size(); ++i) sum[i] += static_cast<double>(grad[i]);
  }
}

}  // namespace

CompiledNetwork& Prober::compiled(const ProbeRequest& request) {
  const bool ones = on_ones(request);
  const std::string key = fmt::format("{}/{}/{}", ones, static_cast<int>(request.loss), static_cast<int>(request.norm));
  auto found = nets_.find(key);
  if (found == nets_.end()) {
    const std::int64_t rows = ones ? 1 : job_.rows(), denominator = ones ? 1 : job_.batch();
    found = nets_.emplace(key, &programs_.compiled(network_.probe(request, rows, denominator))).first;
  }
  return *found->second;
}

void Prober::clear() {
  constexpr std::size_t kSmall = std::size_t{64} << 20;  // the next trial will want it again
  nets_.clear();
  double_net_.reset();
  programs_.shrink_probes(kSmall);
}

void Prober::bind_weights(CompiledNetwork& net, const ProbeRequest& request) {
  for (std::size_t p = 0; p < params_.size(); ++p) {
    if (params_.specs()[p].retired) continue;
    net.program.bind(net.params[p], const_cast<float*>(weights_of(p, request).data()));
  }
}

std::span<const float> Prober::weights_of(std::size_t param, const ProbeRequest& request) {
  const bool given = param < request.weights.size() && !request.weights[param].empty();
  return given ? std::span<const float>(request.weights[param]) : params_.weight(ParamId(param));
}

// Copies: a probe leaves the running statistics alone.
std::vector<std::vector<float>> Prober::buffers_of(const ProbeRequest& request) {
  std::vector<std::vector<float>> buffers;
  for (std::size_t b = 0; b < params_.buffer_count(); ++b) {
    const auto values = params_.buffer(b);
    auto& copy = buffers.emplace_back(values.begin(), values.end());
    if (!request.absolute_buffers) continue;
    for (float& value : copy) value = std::fabs(value);
  }
  return buffers;
}

ProbeResult Prober::probe_in_double(const ProbeRequest& request) {
  if (!on_ones(request) || request.batches != 1) {
    fail(ErrorKind::Internal, "a probe in double precision takes one image of ones");
  }
  if (!double_net_) double_net_ = network_.probe_in_double(request);
  DoubleNetwork& net = *double_net_;
  for (std::size_t p = 0; p < params_.size(); ++p) {
    if (!params_.specs()[p].retired) net.program.set(net.params[p], weights_of(p, request));
  }
  const std::vector<std::vector<float>> buffers = buffers_of(request);
  for (std::size_t b = 0; b < buffers.size(); ++b) net.program.set(net.buffers[b], buffers[b]);
  net.program.set(net.images,
                  std::vector<float>(static_cast<std::size_t>(net.program.shape(net.images).numel()), 1.0f));
  net.program.run();
  job_.observer.working();
  job_.observer.probed(1);
  ProbeResult result{.loss = net.program.value(net.loss).front(), .grads = {}};
  result.double_grads.resize(params_.size());
  for (const auto& [value, id] : net.gradients) {
    result.double_grads[static_cast<std::size_t>(id)] = net.program.value(value);
  }
  return result;
}

ProbeResult Prober::probe(const ProbeRequest& request, std::int64_t step) {
  if (request.in_double) return probe_in_double(request);
  const bool ones = on_ones(request);
  CompiledNetwork& net = compiled(request);
  bind_weights(net, request);
  std::vector<std::vector<float>> buffers = buffers_of(request);
  for (std::size_t b = 0; b < buffers.size(); ++b) net.program.bind(net.buffers[b], buffers[b].data());
  ProbeResult result;
  result.grads.resize(params_.size());
  std::vector<std::vector<double>> sums(params_.size());
  Tensor one;
  for (std::int64_t b = 0; b < request.batches; ++b) {
    if (ones) {
      one = Tensor(DType::F32, net.program.view(net.images).shape);
      std::ranges::fill(one.span<float>(), 1.0f);
      net.program.feed(net.images, one.as<float>());
    } else {
      const Batch& batch = source_.batch(request.first_batch + b);
      net.program.feed(net.images, batch.images.data);
      net.program.feed(net.labels, batch.labels.data);
    }
    net.program.run({.seed = job_.seeds.dropout,
                     .step = static_cast<std::uint32_t>(step),
                     .first_row = job_.rows() * job_.comm.rank(),
                     .update_statistics = false});
    job_.observer.working();
    result.loss += static_cast<double>(*net.program.view(net.loss).as<float>());
    add_gradients(net, sums);
  }
  job_.observer.probed(ones ? request.batches : request.batches * job_.batch());
  const double batches = static_cast<double>(request.batches);
  if (!ones) job_.comm.all_reduce_sum(std::span(&result.loss, 1));
  result.loss /= batches;
  for (std::size_t p = 0; p < sums.size(); ++p) {
    if (!ones && !sums[p].empty()) job_.comm.all_reduce_sum(std::span(sums[p]));
    for (const double sum : sums[p]) result.grads[p].push_back(static_cast<float>(sum / batches));
  }
  return result;
}

}  // namespace winnow
