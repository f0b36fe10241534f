#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <ostream>

#include "distributed/dry_run.h"
#include "experiments/cli/bench_subject.h"
#include "experiments/data/registry.h"
#include "experiments/methods/compose.h"
#include "experiments/models/registry.h"
#include "experiments/text.h"

namespace winnow {
namespace {

// By the data sheets of NVIDIA, dense: A100 80 GB SXM (2021), H100 SXM (2023), H200 SXM (2024).
struct DataSheet {
  const char *name, *driver_name;  // driver_name: a part of what the driver calls it
  double bf16, f32, bandwidth;     // FLOP/s, FLOP/s without TF32, bytes/s
  double peak(DType compute) const { return compute == DType::BF16 ? bf16 : f32; }
};
constexpr DataSheet kDataSheets[] = {{"A100 SXM 80 GB", "A100-SXM4-80GB", 312e12, 19.5e12, 2039e9},
                                     {"H100 SXM", "H100 80GB HBM3", 989e12, 67e12, 3350e9},
                                     {"H200 SXM", "NVIDIA H200", 989e12, 67e12, 4800e9}};

struct OpWork {
  std::string op, name;
  double kernels = 0, calls = 0, macs = 0, read = 0, written = 0;
  double bytes() const { return read + written; }
};

struct DryFigures {
  DType compute = DType::F32;
  DryRun run;
  std::vector<OpWork> nodes;  // of a step
  double activations = 0,
         moved = 0;  // bytes: the outputs of all layers; read and written of everything with a row an example
};

DryRun run_with_rows(const BenchSubject& subject, DType compute, std::int64_t rows) {
  const ModelDef& model = find_model(subject.model.text("name"));
  const DataShape shape = find_dataset("synthetic").shape(subject.data);
  const std::unique_ptr<Method> method = make_method(subject.method);
  const Network network([&](std::int64_t batch, DType type) { return model.build(subject.model, shape, batch, type); },
                        *method, subject.train, compute, 1);
  return dry_run(network, *method, subject.train, rows, subject.train.integer("eval_batch"));
}

DryFigures dry_figures(const BenchSubject& subject) {
  const std::int64_t rows = subject.train.integer("batch");
  DryFigures figures{.compute = compute_type(subject.train, Device::Dry), .run = {}, .nodes = {}};
  figures.run = run_with_rows(subject, figures.compute, rows);
  // What has a row an example is larger for two batches.
  const DryRun twice = run_with_rows(subject, figures.compute, 2 * rows);
  for (std::size_t p = 0; p < figures.run.parts.size(); ++p) {
    const DryRun::Part& part = figures.run.parts[p];
    const auto times = static_cast<double>(part.times);
    for (const NodeWork& node : part.nodes) {
      OpWork work{node.op, node.name};
      work.kernels = times * static_cast<double>(node.launches);
      work.calls = times * static_cast<double>(node.calls);
      work.macs = times * static_cast<double>(node.macs);
      work.read = times * static_cast<double>(node.scratch_read);
      work.written = times * static_cast<double>(node.scratch_written);
      for (const MemoryPass& pass : node.passes) {
        const auto at = static_cast<std::size_t>(pass.value);
        const auto all = static_cast<double>(part.values[at].bytes());
        (pass.is_write ? work.written : work.read) += times * pass.share * all;
        if (part.values[at].bytes() == twice.parts[p].values[at].bytes()) continue;
        figures.moved += times * pass.share * all;
        if (node.is_layer && pass.is_write) figures.activations += all;
      }
      figures.nodes.push_back(std::move(work));
    }
  }
  return figures;
}

// The largest first.
std::vector<OpWork> grouped(const DryFigures& figures, bool by_node) {
  std::map<std::pair<std::string, std::string>, OpWork> groups;
  for (const OpWork& node : figures.nodes) {
    OpWork& group = groups[{node.op, by_node ? node.name : ""}];
    group.op = node.op;
    if (by_node) group.name = node.name;
    group.kernels += node.kernels;
    group.calls += node.calls;
    group.macs += node.macs;
    group.read += node.read;
    group.written += node.written;
  }
  std::vector<OpWork> all;
  for (const auto& [key, group] : groups) all.push_back(group);
  std::ranges::stable_sort(all, std::greater<>(), &OpWork::bytes);
  return all;
}

OpWork total(const DryFigures& figures) {
  OpWork all;
  for (const OpWork& node : figures.nodes) {
    all.kernels += node.kernels;
    all.calls += node.calls;
    all.macs += node.macs;
    all.read += node.read;
    all.written += node.written;
  }
  return all;
}

// Seconds that a step takes at least: each node its memory or its arithmetic, whichever is longer.
struct Bound {
  double memory = 0, arithmetic = 0, both = 0;
};
Bound bound_on(const DataSheet& gpu, const DryFigures& figures) {
  Bound bound;
  for (const OpWork& node : figures.nodes) {
    const double memory = node.bytes() / gpu.bandwidth;
    const double arithmetic = 2 * node.macs / gpu.peak(figures.compute);
    bound.memory += memory;
    bound.arithmetic += arithmetic;
    bound.both += std::max(memory, arithmetic);
  }
  return bound;
}

nlohmann::ordered_json as_json(const DryFigures& figures, const BenchSubject& subject, bool by_node) {
  const OpWork all = total(figures);
  nlohmann::ordered_json json = {{"model", subject.model.text("name")},
                                 {"method", subject.method.text("name")},
                                 {"precision", name_of(figures.compute)},
                                 {"batch", subject.train.integer("batch")},
                                 {"device", "cuda"},
                                 {"dry", true},
                                 {"launches_per_step", all.kernels + all.calls},
                                 {"kernels_per_step", all.kernels},
                                 {"library_calls_per_step", all.calls},
                                 {"flops_per_step", 2 * all.macs},
                                 {"bytes_read_per_step", all.read},
                                 {"bytes_written_per_step", all.written},
                                 {"activation_bytes", figures.activations},
                                 {"activation_passes", figures.moved / figures.activations},
                                 {"memory_bytes",
                                  {{"parameters", figures.run.params},
                                   {"arena", figures.run.arena},
                                   {"scratch", figures.run.scratch},
                                   {"evaluation", figures.run.evaluation},
                                   {"batches", figures.run.batches},
                                   {"library_workspace_at_most", figures.run.workspace}}}};
  if (figures.run.statistics.norms > 0) json["statistics_fused"] = statistics_json(figures.run.statistics);
  json["bounds_by_data_sheet"] = nlohmann::ordered_json::array();
  for (const DataSheet& gpu : kDataSheets) {
    const Bound bound = bound_on(gpu, figures);
    json["bounds_by_data_sheet"].push_back({{"gpu", gpu.name},
                                            {"memory_seconds", bound.memory},
                                            {"arithmetic_seconds", bound.arithmetic},
                                            {"seconds", bound.both}});
  }
  json["ops"] = nlohmann::ordered_json::array();
  for (const OpWork& group : grouped(figures, by_node)) {
    json["ops"].push_back({{"op", group.op},
                           {"name", group.name},
                           {"kernels", group.kernels},
                           {"library_calls", group.calls},
                           {"bytes_read", group.read},
                           {"bytes_written", group.written},
                           {"flops", 2 * group.macs}});
  }
  return json;
}

}  // namespace

std::string statistics_text(const FusedStatistics& statistics) {
  return fmt::format("statistics of {} of {} batch norms come from the convolutions in front of them", statistics.fused,
                     statistics.norms);
}

nlohmann::ordered_json statistics_json(const FusedStatistics& statistics) {
  return {{"fused", statistics.fused}, {"batch_norms", statistics.norms}};
}

void print_dry(const BenchSubject& subject, bool by_node, bool json, std::ostream& out) {
  const DryFigures figures = dry_figures(subject);
  if (json) {
    out << as_json(figures, subject, by_node).dump(2) << "\n";
    return;
  }
  const OpWork all = total(figures);
  const auto bytes = [](auto count) { return bytes_text(static_cast<double>(count)); };
  out << fmt::format("{} {} {}, batch {}, on a GPU, planned and not run\n", subject.model.text("name"),
                     subject.method.text("name"), name_of(figures.compute), subject.train.integer("batch"));
  out << fmt::format("launches    {} a step: {} kernels of winnow and {} calls of cuBLASLt and cuDNN\n",
                     all.kernels + all.calls, all.kernels, all.calls);
  out << fmt::format(
      "memory      {} read and {} written a step; {:.1f} passes over the activations ({}: the outputs of all layers)\n",
      bytes(all.read), bytes(all.written), figures.moved / figures.activations, bytes(figures.activations));
  if (figures.run.statistics.norms > 0) out << "fused       " << statistics_text(figures.run.statistics) << "\n";
  out << fmt::format("arithmetic  {:.3g} GFLOP a step\n", 2e-9 * all.macs);
  out << fmt::format(
      "takes       {} parameters and optimiser, {} arena, {} scratch, {} evaluation, {} batches, at most {} for "
      "libraries\n",
      bytes(figures.run.params), bytes(figures.run.arena), bytes(figures.run.scratch), bytes(figures.run.evaluation),
      bytes(figures.run.batches), bytes(figures.run.workspace));
  for (const DataSheet& gpu : kDataSheets) {
    const Bound bound = bound_on(gpu, figures);
    out << fmt::format("bound       {}, by its data sheet: {} a step (memory {}, arithmetic {}), {} images/s\n",
                       gpu.name, short_time_text(bound.both), short_time_text(bound.memory),
                       short_time_text(bound.arithmetic),
                       count_text(static_cast<double>(subject.train.integer("batch")) / bound.both));
  }
  out << fmt::format("\n{:>8} {:>6} {:>11} {:>11} {:>9}  op\n", "kernels", "calls", "read", "written", "GFLOP");
  const auto row = [&](const OpWork& of) {
    out << fmt::format("{:>8} {:>6} {:>11} {:>11} {:>9.3g}  {}{}\n", of.kernels, of.calls, bytes(of.read),
                       bytes(of.written), 2e-9 * of.macs, of.op, of.name.empty() ? "" : " " + of.name);
  };
  for (const OpWork& group : grouped(figures, by_node)) row(group);
  OpWork sum = all;
  sum.op = "sum";
  row(sum);
}

StepPlan plan_step(const BenchSubject& subject, const std::string& gpu) {
  const DryFigures figures = dry_figures(subject);
  const OpWork all = total(figures);
  StepPlan plan{.kernels = all.kernels, .calls = all.calls, .flops = 2 * all.macs, .bytes = all.bytes(), .sheets = {}};
  for (const DataSheet& sheet : kDataSheets) {
    if (gpu.find(sheet.driver_name) == std::string::npos) continue;
    plan.sheets.push_back({.gpu = sheet.name,
                           .seconds = bound_on(sheet, figures).both,
                           .bandwidth = sheet.bandwidth,
                           .peak = sheet.peak(figures.compute)});
  }
  return plan;
}

}  // namespace winnow
