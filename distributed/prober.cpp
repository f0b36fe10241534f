#include "distributed/prober.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace winnow {
namespace {

using Input = ProbeRequest::Input;

// Sums over the passes of a probe, in double.
struct Sums {
  double loss = 0;
  std::vector<std::vector<double>> grads;  // by parameter; empty without a gradient
  struct Named {
    std::vector<double> value, gradient;
  };
  std::vector<Named> named;
};

// `at`: the first of the entries of `sum` that are this rank's, `whole`: how many all ranks have.
void add(std::vector<double>& sum, std::span<const float> values, std::size_t at, std::size_t whole) {
  sum.resize(whole);
  for (std::size_t i = 0; i < values.size(); ++i) sum[at + i] += static_cast<double>(values[i]);
}

void add(std::vector<double>& sum, std::span<const float> values) { add(sum, values, 0, values.size()); }

std::vector<float> mean_of(const std::vector<double>& sums, double count) {
  std::vector<float> mean;
  for (const double sum : sums) mean.push_back(static_cast<float>(sum / count));
  return mean;
}

std::int64_t passes_of(const ProbeRequest& request) {
  return request.input == Input::Balanced ? request.batches * request.parts : request.batches;
}

// With each rank's rows of activations in their place among those of `ranks`.
void add_pass(Sums& sums, const CompiledNetwork& net, int rank, int ranks) {
  const Program& program = net.program;
  sums.loss += static_cast<double>(*program.view(net.loss).as<float>());
  for (const auto& [value, id] : net.gradients) {
    add(sums.grads[static_cast<std::size_t>(id)], program.view(value).span<float>());
  }
  for (std::size_t i = 0; i < net.named.size(); ++i) {
    const CompiledNetwork::Named& one = net.named[i];
    const auto values = program.view(one.value).span<float>();
    const auto place = [&](std::vector<double>& sum, std::span<const float> of) {
      one.activation
          ? add(sum, of, of.size() * static_cast<std::size_t>(rank), of.size() * static_cast<std::size_t>(ranks))
          : add(sum, of);
    };
    // What is no activation is the same on every rank.
    if (one.activation || rank == 0) place(sums.named[i].value, values);
    sums.named[i].value.resize(values.size() * static_cast<std::size_t>(one.activation ? ranks : 1));
    if (one.gradient != kNoValue) place(sums.named[i].gradient, program.view(one.gradient).span<float>());
  }
}

template <class Each>
void each_sum(Sums& sums, Each each) {
  each(std::span(&sums.loss, 1));
  for (auto& grad : sums.grads) each(std::span(grad));
  for (Sums::Named& named : sums.named) each(std::span(named.value)), each(std::span(named.gradient));
}

// Ranks on other processors may round otherwise, and what is chosen by it must be the same.
void take_from_rank_0(Communicator& comm, Sums& sums) {
  each_sum(sums, [&](std::span<double> sum) { comm.broadcast(std::as_writable_bytes(sum), 0); });
}

}  // namespace

std::int64_t Prober::rows(const ProbeRequest& request) const {
  if (request.input == Input::Ones) return 1;
  if (request.input == Input::TrainBatches) return job_.rows();
  const std::int64_t examples = request.per_class * job_.data.shape().classes;
  if (examples % request.parts != 0) {
    fail(ErrorKind::Internal, "{} examples cannot be cut into {} equal parts", examples, request.parts);
  }
  return examples / request.parts;
}

// What requests of one network have in common.
std::string Prober::key_of(const ProbeRequest& request, std::int64_t rows) {
  return fmt::format("{}/{}/{}/{}/{}/{}", rows, static_cast<int>(request.input), static_cast<int>(request.loss),
                     static_cast<int>(request.norm), request.temperature, request.edit_name);
}

CompiledNetwork& Prober::compiled(const ProbeRequest& request) {
  const std::int64_t own = rows(request);
  const std::int64_t denominator = request.input == Input::TrainBatches ? job_.batch() : own;
  // The network is drafted each time, and a program of an equal draft found.
  if (request.edit && request.edit_name.empty()) return programs_.compiled(network_.probe(request, own, denominator));
  const std::string key = key_of(request, own);
  auto found = nets_.find(key);
  if (found == nets_.end()) {
    found = nets_.emplace(key, &programs_.compiled(network_.probe(request, own, denominator))).first;
  }
  return *found->second;
}

void Prober::clear() {
  constexpr std::size_t kSmall = std::size_t{64} << 20;  // the next trial will want it again
  nets_.clear();
  sets_.clear();
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
  const bool ones = request.input == Input::Ones;
  if (request.input == Input::TrainBatches || request.edit) {
    fail(ErrorKind::Internal, "a probe in double precision takes ones or balanced sets, and no edit");
  }
  const std::string key = key_of(request, rows(request));
  if (!double_net_ || key != double_key_) double_net_ = network_.probe_in_double(request, rows(request));
  double_key_ = key;
  DoubleNetwork& net = *double_net_;
  for (std::size_t p = 0; p < params_.size(); ++p) {
    if (params_.specs()[p].retired) continue;
    const bool given = p < request.double_weights.size() && !request.double_weights[p].empty();
    given ? net.program.set(net.params[p], std::span<const double>(request.double_weights[p]))
          : net.program.set(net.params[p], weights_of(p, request));
  }
  const std::vector<std::vector<float>> buffers = buffers_of(request);
  for (std::size_t b = 0; b < buffers.size(); ++b) net.program.set(net.buffers[b], std::span(buffers[b]));
  Sums sums{.grads = std::vector<std::vector<double>>(params_.size()), .named = {}};
  for (std::int64_t pass = 0; pass < passes_of(request); ++pass) {
    if (ones) {
      const auto numel = static_cast<std::size_t>(net.program.shape(net.images).numel());
      net.program.set(net.images, std::span<const float>(std::vector<float>(numel, 1.0f)));
    } else {
      const Rows batch = rows_of_set(request, pass);
      net.program.set(net.images, std::span<const float>(batch.images));
      const std::vector<double> labels(batch.labels.begin(), batch.labels.end());
      net.program.set(net.labels, std::span<const double>(labels));
    }
    net.program.run();
    job_.observer.working();
    sums.loss += net.program.value(net.loss).front();
    for (const auto& [value, id] : net.gradients) {
      auto& sum = sums.grads[static_cast<std::size_t>(id)];
      const std::vector<double>& grad = net.program.value(value);
      sum.resize(grad.size());
      for (std::size_t i = 0; i < grad.size(); ++i) sum[i] += grad[i];
    }
  }
  job_.observer.probed(passes_of(request) * rows(request));
  if (!ones) take_from_rank_0(job_.comm, sums);
  const auto count = static_cast<double>(passes_of(request));
  for (auto& grad : sums.grads) {
    for (double& sum : grad) sum /= count;
  }
  return {.loss = sums.loss / count, .grads = {}, .double_grads = std::move(sums.grads)};
}

// Of a balanced set, the part of this pass.
Prober::Rows Prober::rows_of_set(const ProbeRequest& request, std::int64_t pass) {
  const std::int64_t number = request.first_batch + pass / request.parts;
  auto found = sets_.find({request.per_class, number});
  if (found == sets_.end()) {
    found = sets_.emplace(std::pair(request.per_class, number), balanced_set(job_, request.per_class, number)).first;
  }
  BalancedSet& set = found->second;
  const auto count = static_cast<std::size_t>(rows(request)),
             image = set.images.span<float>().size() / set.labels.size();
  const std::size_t first = static_cast<std::size_t>(pass % request.parts) * count;
  return {set.images.span<float>().subspan(first * image, count * image), std::span(set.labels).subspan(first, count)};
}

void Prober::feed(CompiledNetwork& net, const ProbeRequest& request, std::int64_t pass) {
  if (request.input == Input::Ones) {
    ones_ = Tensor(DType::F32, net.program.view(net.images).shape);
    std::ranges::fill(ones_.span<float>(), 1.0f);
    net.program.feed(net.images, ones_.as<float>());
  } else if (request.input == Input::TrainBatches) {
    const Batch& batch = source_.batch(request.first_batch + pass);
    net.program.feed(net.images, batch.images.data);
    net.program.feed(net.labels, batch.labels.data);
  } else {
    const Rows batch = rows_of_set(request, pass);
    net.program.feed(net.images, batch.images.data());
    net.program.feed(net.labels, batch.labels.data());
  }
}

ProbeResult Prober::probe(const ProbeRequest& request, std::int64_t step) {
  if (request.in_double) return probe_in_double(request);
  const bool shared = request.input == Input::TrainBatches;  // otherwise every rank computes the whole
  const int rank = shared ? job_.comm.rank() : 0, ranks = shared ? job_.comm.size() : 1;
  CompiledNetwork& net = compiled(request);
  bind_weights(net, request);
  std::vector<std::vector<float>> buffers = buffers_of(request);
  for (std::size_t b = 0; b < buffers.size(); ++b) net.program.bind(net.buffers[b], buffers[b].data());
  Sums sums{.grads = std::vector<std::vector<double>>(params_.size()),
            .named = std::vector<Sums::Named>(net.named.size())};
  for (std::int64_t pass = 0; pass < passes_of(request); ++pass) {
    feed(net, request, pass);
    net.program.run({.seed = job_.seeds.dropout,
                     .step = static_cast<std::uint32_t>(step),
                     .first_row = rows(request) * rank,
                     .update_statistics = false});
    job_.observer.working();
    add_pass(sums, net, rank, ranks);
  }
  job_.observer.probed(passes_of(request) * rows(request) * ranks);
  if (shared) {
    each_sum(sums, [&](std::span<double> sum) {
      if (!sum.empty()) job_.comm.all_reduce_sum(sum);
    });
  } else if (request.input == Input::Balanced) {
    take_from_rank_0(job_.comm, sums);
  }
  const auto count = static_cast<double>(passes_of(request));
  ProbeResult result{.loss = sums.loss / count, .grads = {}};
  for (const auto& grad : sums.grads) result.grads.push_back(mean_of(grad, count));
  for (std::size_t i = 0; i < net.named.size(); ++i) {
    const Shape own = net.program.view(net.named[i].value).shape;
    std::vector<std::int64_t> extents(own.begin(), own.end());
    if (net.named[i].activation) extents.front() *= ranks;
    result.named[net.named[i].name] = {Shape(extents), mean_of(sums.named[i].value, count),
                                       mean_of(sums.named[i].gradient, count)};
  }
  return result;
}

}  // namespace winnow
