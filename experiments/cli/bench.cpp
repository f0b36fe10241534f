// `winnow bench`: training steps of one model on images made in memory, and where their time goes.
#include <sys/resource.h>

#include <algorithm>
#include <ctime>
#include <nlohmann/json.hpp>
#include <ostream>

#include "core/clock.h"
#include "core/error.h"
#include "distributed/trainer.h"
#include "experiments/cli/bench_subject.h"
#include "experiments/cli/options.h"
#include "experiments/cli/verbs.h"
#include "experiments/data/registry.h"
#include "experiments/methods/compose.h"
#include "experiments/models/registry.h"
#include "experiments/run/devices.h"
#include "experiments/text.h"

namespace winnow {
namespace {

namespace po = boost::program_options;
using Json = nlohmann::ordered_json;

// Of the calling thread alone: on a busy machine, what a step on one thread would take without the others.
double cpu_seconds_now() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// The first of the usual image sizes that the model takes; settings of the data may say otherwise.
Settings image_settings(const ModelDef& model, const Settings& model_settings) {
  Settings image;
  for (const auto& [size, channels] : {std::pair{32, 3}, {28, 1}, {224, 3}}) {
    image.set("height", std::to_string(size));
    image.set("width", std::to_string(size));
    image.set("channels", std::to_string(channels));
    // The LeNets take any image and are meant for digits.
    if (model.name.starts_with("lenet") && channels != 1) continue;
    try {
      model.build(model_settings, {size, size, channels, 10}, 1, DType::F32);
      break;
    } catch (const Error&) {
    }
  }
  return image;
}

BenchSubject subject_of(const po::variables_map& given) {
  Settings all;
  if (given.contains("set")) {
    for (const std::string& entry : given["set"].as<std::vector<std::string>>()) {
      const std::size_t equals = entry.find('=');
      if (equals == std::string::npos) fail(ErrorKind::Usage, "--set {}: must be KEY=VALUE", entry);
      all.set(entry.substr(0, equals), entry.substr(equals + 1));
    }
  }
  all.set("train.batch", std::to_string(given["batch"].as<std::int64_t>()));
  all.set("train.precision", given["precision"].as<std::string>());
  if (!all.has("train.momentum")) all.set("train.momentum", "0.9");
  if (!all.has("train.lr")) all.set("train.lr", "0.01");

  const ModelDef& model = find_model(given["model"].as<std::string>());
  BenchSubject subject;
  subject.model = resolve(model.schema, all.below("model"));
  subject.model.set("name", model.name);
  Settings data = image_settings(model, subject.model);
  const std::int64_t batch = given["batch"].as<std::int64_t>();
  data.set("examples", std::to_string(std::max<std::int64_t>(4 * batch, 512)));
  data.set("test_examples", "16");
  data.set("validation", "0");
  const Settings given_data = all.below("data");
  for (const auto& [key, value] : given_data.values()) data.set(key, value);
  subject.data = resolve(find_dataset("synthetic").schema, data);
  subject.method = all.below("method");
  subject.method.set("name", given["method"].as<std::string>());
  subject.train = resolve(train_schema(), all.below("train"));
  return subject;
}

std::shared_ptr<DeviceStream> first_gpu() {
  const GpuSurvey found = survey_gpus();
  if (found.gpus.empty()) fail(ErrorKind::Unavailable, "--device cuda: {}   (--dry needs no GPU)", found.problem);
  return cuda::open_stream(0);
}

struct Measured {
  std::vector<double> seconds, cpu_seconds;  // of each step, ascending
  std::vector<Program::NodeTime> nodes;
  double profiled = 0;  // seconds of the steps that `nodes` is of
  std::int64_t macs = 0, memory = 0;
  double loss = 0;
  DType compute = DType::F32;
  double median() const { return seconds[seconds.size() / 2]; }
  double cpu_median() const { return cpu_seconds[cpu_seconds.size() / 2]; }
};

Measured measure(const BenchSubject& subject, int threads, double budget, std::shared_ptr<DeviceStream> stream) {
  const ModelDef& model = find_model(subject.model.text("name"));
  const DatasetDef& source = find_dataset("synthetic");
  const std::unique_ptr<Dataset> data = source.open(subject.data);
  const std::unique_ptr<Method> method = make_method(subject.method);
  const std::unique_ptr<Communicator> self = make_self();
  TrainObserver observer;
  ProgramCache programs(std::move(stream));
  Trainer trainer({.build = [&](std::int64_t batch,
                                DType compute) { return model.build(subject.model, data->shape(), batch, compute); },
                   .method = *method,
                   .data = *data,
                   .train = subject.train,
                   .seeds = {1, 2, 3, 4, 5},
                   .comm = *self,
                   .observer = observer,
                   .threads = threads,
                   .programs = &programs});
  trainer.start_phase(0);
  for (int i = 0; i < 3; ++i) trainer.train_step();

  Measured result;
  const double end = seconds_now() + budget;
  while (result.seconds.size() < 3 || seconds_now() < end) {
    const double start = seconds_now(), cpu_start = cpu_seconds_now();
    result.loss = trainer.train_step().loss;
    result.seconds.push_back(seconds_now() - start);
    result.cpu_seconds.push_back(cpu_seconds_now() - cpu_start);
  }
  std::ranges::sort(result.seconds);
  std::ranges::sort(result.cpu_seconds);

  Program& program = trainer.training_program();
  program.profile(true);
  const double start = seconds_now();
  const auto steps = static_cast<std::size_t>(std::clamp(0.2 * budget / result.median(), 2.0, 200.0));
  for (std::size_t i = 0; i < steps; ++i) trainer.train_step();
  result.profiled = (seconds_now() - start) / static_cast<double>(steps);
  result.nodes = program.times();
  for (Program::NodeTime& node : result.nodes) node.seconds /= static_cast<double>(steps);
  program.profile(false);
  result.macs = program.macs();
  result.compute = trainer.network().compute();
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  result.memory = usage.ru_maxrss * 1024;
  return result;
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

double gflops(std::int64_t macs, double seconds) {
  return seconds > 0 ? 2e-9 * static_cast<double>(macs) / seconds : 0;
}

Json as_json(const Measured& measured, const BenchSubject& subject, int threads, bool by_node) {
  const auto batch = static_cast<double>(subject.train.integer("batch"));
  Json json = {
      {"model", subject.model.text("name")},
      {"method", subject.method.text("name")},
      {"precision", name_of(measured.compute)},
      {"threads", threads},
      {"batch", subject.train.integer("batch")},
      {"steps", measured.seconds.size()},
      {"images_per_second", batch / measured.median()},
      {"step_seconds",
       {{"median", measured.median()}, {"least", measured.seconds.front()}, {"cpu_median", measured.cpu_median()}}},
      {"gflops", gflops(measured.macs, measured.median())},
      {"macs_per_step", measured.macs},
      {"peak_memory_bytes", measured.memory},
      {"loss", measured.loss}};
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
  out << fmt::format(
      "{} {} {}, batch {}, {}: {:.0f} images/s, {:.2f} ms a step (least {:.2f}), {:.0f} GFLOP/s, "
      "{}\n",
      subject.model.text("name"), subject.method.text("name"), name_of(measured.compute), batch,
      threads == 1 ? "1 thread" : fmt::format("{} threads", threads), static_cast<double>(batch) / measured.median(),
      1e3 * measured.median(), 1e3 * measured.seconds.front(), gflops(measured.macs, measured.median()),
      bytes_text(static_cast<double>(measured.memory)));
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
      "device", po::value<std::string>()->default_value("cpu"), "cpu or cuda")(
      "dry",
      "with --device cuda: launches, bytes and memory of a step by plan, and what they take at least; needs no GPU")(
      "threads", po::value<int>()->default_value(1), "of this process")(
      "seconds", po::value<double>()->default_value(5), "how long to measure")(
      "set", po::value<std::vector<std::string>>()->composing(),
      "KEY=VALUE: a setting of data, model, method or train, as in a sweep file")("nodes", "time by node, not by op")(
      "json", "one JSON object");
}

int run_bench(std::span<const std::string> args, std::ostream& out, std::ostream&) {
  const auto parsed = parse_arguments("bench", args, out);
  if (!parsed) return 0;
  const po::variables_map& given = *parsed;
  const int threads = count_of(given, "threads", 1);
  const double seconds = given["seconds"].as<double>();
  if (!(seconds > 0)) fail(ErrorKind::Usage, "--seconds must be more than 0");
  const std::string device = given["device"].as<std::string>();
  if (device != "cpu" && device != "cuda") fail(ErrorKind::Usage, "--device {}: must be cpu or cuda", device);
  const BenchSubject subject = subject_of(given);
  const bool by_node = given.contains("nodes");
  if (given.contains("dry")) {
    if (device != "cuda") fail(ErrorKind::Usage, "--dry is for --device cuda");
    print_dry(subject, by_node, given.contains("json"), out);
    return 0;
  }
  const Measured measured = measure(subject, threads, seconds, device == "cuda" ? first_gpu() : nullptr);
  if (given.contains("json")) {
    out << as_json(measured, subject, threads, by_node).dump(2) << "\n";
  } else {
    print(measured, subject, threads, by_node, out);
  }
  return 0;
}

}  // namespace winnow
