// `winnow bench`: training steps of one model on images made in memory, and where their time goes.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <ostream>

#include "core/error.h"
#include "experiments/cli/bench_measure.h"
#include "experiments/cli/bench_subject.h"
#include "experiments/cli/options.h"
#include "experiments/cli/verbs.h"
#include "experiments/run/devices.h"
#include "experiments/text.h"

namespace winnow {
namespace {

namespace po = boost::program_options;
using Json = nlohmann::ordered_json;

// Nothing: the CPU.
std::shared_ptr<DeviceStream> device_of(const std::string& device) {
  if (device == "cpu") return nullptr;
  const GpuSurvey found = survey_gpus();
  if (!found.gpus.empty()) return cuda::open_stream(0);
  if (device == "auto") return nullptr;
  fail(ErrorKind::Unavailable, "train.device is cuda, but {}   (--dry needs no GPU; see winnow doctor)", found.problem);
}

// Seconds a step by op, and by node with `by_node`, the largest first. What no node takes is the
// update, the data and the method.
std::vector<Program::NodeTime> shares(const Measured& measured, bool by_node) {
  std::vector<Program::NodeTime> groups;
  double rest = measured.profiled;
  for (const Program::NodeTime& node : measured.nodes) {
    rest -= node.seconds;
    const auto same = [&](const Program::NodeTime& group) {
      return group.op == node.op && (!by_node || group.name == node.name);
    };
    auto group = std::ranges::find_if(groups, same);
    if (group == groups.end()) {
      groups.push_back({node.op, by_node ? node.name : "", 0, 0});
      group = groups.end() - 1;
    }
    group->seconds += node.seconds;
    group->macs += node.macs;
  }
  groups.push_back({"update, data, method", "", std::max(0.0, rest), 0});
  std::ranges::stable_sort(groups, std::greater<>(), &Program::NodeTime::seconds);
  return groups;
}

std::string rate_text(double per_second, const char* unit) { return count_text(per_second) + unit; }

double gflops(std::int64_t macs, double seconds) {
  return seconds > 0 ? 2e-9 * static_cast<double>(macs) / seconds : 0;
}

double per_second(double of_a_step, const Measured& measured) { return of_a_step / measured.median(); }

// By the counts of the dry plan (`--dry`): what these kernels are meant to move, over the time that they took.
Json gpu_json(const Measured& measured) {
  const StepPlan& plan = measured.plan;
  Json json = {{"name", measured.gpu},
               {"kernels_per_step", plan.kernels},
               {"library_calls_per_step", plan.calls},
               {"flops_per_step", plan.flops},
               {"bytes_per_step", plan.bytes},
               {"tflops", 1e-12 * per_second(plan.flops, measured)},
               {"bytes_per_second", per_second(plan.bytes, measured)},
               {"copy_bytes_per_second", measured.copied},
               {"share_of_copy", per_second(plan.bytes, measured) / measured.copied}};
  if (measured.statistics.norms > 0) json["statistics_fused"] = statistics_json(measured.statistics);
  json["by_data_sheet"] = Json::array();
  for (const StepPlan::Sheet& sheet : plan.sheets) {
    json["by_data_sheet"].push_back({{"gpu", sheet.gpu},
                                     {"step_seconds_at_least", sheet.seconds},
                                     {"share_of_bound", sheet.seconds / measured.median()},
                                     {"share_of_peak", per_second(plan.flops, measured) / sheet.peak},
                                     {"share_of_bandwidth", per_second(plan.bytes, measured) / sheet.bandwidth}});
  }
  return json;
}

void print_gpu(const Measured& measured, std::ostream& out) {
  const StepPlan& plan = measured.plan;
  out << fmt::format("  {}, by the counts of --dry: {}, {} ({:.1f} % of what a copy reaches, {}), {} launches a step\n",
                     measured.gpu, rate_text(per_second(plan.flops, measured), "FLOP/s"),
                     rate_text(per_second(plan.bytes, measured), "B/s"),
                     100 * per_second(plan.bytes, measured) / measured.copied, rate_text(measured.copied, "B/s"),
                     plan.kernels + plan.calls);
  if (measured.statistics.norms > 0) out << "  " << statistics_text(measured.statistics) << "\n";
  for (const StepPlan::Sheet& sheet : plan.sheets) {
    out << fmt::format(
        "  data sheet of {}: at least {} a step ({:.1f} % of the time taken), {:.1f} % of its {} FLOP/s, {:.1f} % of "
        "its "
        "bandwidth\n",
        sheet.gpu, short_time_text(sheet.seconds), 100 * sheet.seconds / measured.median(),
        100 * per_second(plan.flops, measured) / sheet.peak, name_of(measured.compute),
        100 * per_second(plan.bytes, measured) / sheet.bandwidth);
  }
  out << "  node by node, each waited for:\n";
}

Json as_json(const Measured& measured, const BenchSubject& subject, int threads, bool by_node) {
  const auto batch = static_cast<double>(subject.train.integer("batch"));
  Json json = {
      {"model", subject.model.text("name")},
      {"method", subject.method.text("name")},
      {"precision", name_of(measured.compute)},
      {"threads", threads},
      {"batch", subject.train.integer("batch")},
      {"device", measured.gpu.empty() ? "cpu" : "cuda"},
      {"steps", measured.steps},
      {"images_per_second", batch / measured.median()},
      {"step_seconds",
       {{"median", measured.median()}, {"least", measured.seconds.front()}, {"cpu_median", measured.cpu_median()}}},
      {"gflops", gflops(measured.macs, measured.median())},
      {"macs_per_step", measured.macs},
      {"peak_memory_bytes", measured.memory},
      {"loss", measured.loss}};
  if (!measured.gpu.empty()) json["gpu"] = gpu_json(measured);
  json["ops"] = Json::array();
  for (const Program::NodeTime& group : shares(measured, by_node)) {
    json["ops"].push_back({{"op", group.op},
                           {"name", group.name},
                           {"seconds", group.seconds},
                           {"share", group.seconds / measured.profiled},
                           {"gflops", gflops(group.macs, group.seconds)}});
  }
  return json;
}

void print(const Measured& measured, const BenchSubject& subject, int threads, bool by_node, std::ostream& out) {
  const auto batch = subject.train.integer("batch");
  out << fmt::format("{} {} {}, batch {}, {}: {:.0f} images/s, {} a step (least {}), {:.0f} GFLOP/s, {}\n",
                     subject.model.text("name"), subject.method.text("name"), name_of(measured.compute), batch,
                     measured.gpu.empty() ? counted(static_cast<std::size_t>(threads), "thread") : measured.gpu,
                     static_cast<double>(batch) / measured.median(), short_time_text(measured.median()),
                     short_time_text(measured.seconds.front()), gflops(measured.macs, measured.median()),
                     bytes_text(static_cast<double>(measured.memory)));
  if (!measured.gpu.empty()) print_gpu(measured, out);
  for (const Program::NodeTime& group : shares(measured, by_node)) {
    out << fmt::format(
        "  {:>5.1f} %  {:9.3f} ms  {:>13}  {} {}\n", 100 * group.seconds / measured.profiled, 1e3 * group.seconds,
        group.macs > 0 ? fmt::format("{:.0f} GFLOP/s", gflops(group.macs, group.seconds)) : "", group.op, group.name);
  }
}

}  // namespace

void add_bench_options(VerbOptions& options) {
  options.add_options()("model", po::value<std::string>()->default_value("resnet20"), "see winnow models")(
      "method", po::value<std::string>()->default_value("dense"), "see winnow methods")(
      "precision", po::value<std::string>()->default_value("auto"), "auto, f32 or bf16")(
      "batch", po::value<std::int64_t>()->default_value(128), "examples of a step")(
      "device", po::value<std::string>()->default_value("cpu"), "auto, cpu or cuda")(
      "dry",
      "with --device cuda: launches, bytes and memory of a step by plan, and what they take at least; needs no GPU")(
      "threads", po::value<int>()->default_value(1), "of this process")(
      "seconds", po::value<double>()->default_value(5), "how long to measure")(
      "set", po::value<std::vector<std::string>>()->composing(),
      "KEY=VALUE: a setting of data, model, method or train, as in a sweep file")("nodes", "time by node, not by op")(
      "json", "one JSON object");
}

int run_bench(std::span<const std::string> args, std::ostream& out, std::ostream& err) {
  const auto parsed = parse_arguments("bench", args, out);
  if (!parsed) return 0;
  const po::variables_map& given = *parsed;
  const int threads = count_of(given, "threads", 1);
  const double seconds = given["seconds"].as<double>();
  if (!(seconds > 0)) fail(ErrorKind::Usage, "--seconds must be more than 0");
  const BenchSubject subject = bench_subject(given, err);
  const std::string& device = subject.train.text("device");
  const bool by_node = given.contains("nodes");
  if (given.contains("dry")) {
    if (device != "cuda") fail(ErrorKind::Usage, "--dry is for --device cuda");
    print_dry(subject, by_node, given.contains("json"), out);
    return 0;
  }
  const Measured measured = measure_steps(subject, threads, seconds, device_of(device));
  if (given.contains("json")) {
    out << as_json(measured, subject, threads, by_node).dump(2) << "\n";
  } else {
    print(measured, subject, threads, by_node, out);
  }
  return 0;
}

}  // namespace winnow
