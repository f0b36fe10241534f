// `winnow doctor`: what this machine and this build have for training, what is missing, and what that costs.
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <ostream>

#include "core/clock.h"
#include "core/error.h"
#include "distributed/launch.h"
#include "distributed/trainer.h"
#include "experiments/cli/options.h"
#include "experiments/cli/verbs.h"
#include "experiments/data/registry.h"
#include "experiments/methods/compose.h"
#include "experiments/models/registry.h"
#include "experiments/results/files.h"
#include "experiments/run/cores.h"
#include "experiments/run/cpu_quota.h"
#include "experiments/run/devices.h"
#include "experiments/run/driver_release.h"
#include "experiments/run/provenance.h"
#include "experiments/text.h"
#include "kernels/gpu_libraries.h"
#include "kernels/processor.h"

namespace winnow {
namespace {

// One line: `costs` says what is lost where something is missing.
struct Finding {
  enum class State { Ok, Missing, Broken } state;
  std::string what, found, costs = {};
};
using Findings = std::vector<Finding>;
using State = Finding::State;

const char* state_text(State state) { return state == State::Ok ? "ok" : state == State::Missing ? "none" : "fail"; }

void find_processor(Findings& all) {
  const auto self = make_self();
  const int cores = cores_of_rank(*self);
  const CpuQuota quota = cpu_quota("/");
  std::string text = fmt::format("{}, {} may be used", process_provenance()["processor"],
                                 counted(static_cast<std::size_t>(cores), "core"));
  text += std::isfinite(quota.cores) ? fmt::format(" (quota {:.3g})", quota.cores) : " (no quota)";
  all.push_back({State::Ok, "processor", text});
  const bool tiles = processor_has_amx(), native = processor_has_bf16();
  all.push_back({native ? State::Ok : State::Missing, "bf16",
                 tiles    ? "multiplied in tiles (AMX)"
                 : native ? "multiplied in vectors"
                          : "no instructions of the processor",
                 native ? "" : "train.precision: auto is f32 on the CPU"});
  const auto page = static_cast<double>(::sysconf(_SC_PAGESIZE));
  all.push_back({State::Ok, "memory",
                 fmt::format("{}, {} free", bytes_text(page * static_cast<double>(::sysconf(_SC_PHYS_PAGES))),
                             bytes_text(page * static_cast<double>(::sysconf(_SC_AVPHYS_PAGES))))});
}

bool is_on_path(const std::string& program) {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path != nullptr ? path : "");
  for (std::string folder; std::getline(folders, folder, ':');) {
    if (::access((folder + "/" + program).c_str(), X_OK) == 0) return true;
  }
  return false;
}

void find_libraries(Findings& all) {
  const Launch launch = read_launch();
  const bool starts = launch.needs_mpi() || is_on_path("mpirun") || is_on_path("srun");
  all.push_back({starts ? State::Ok : State::Missing, "MPI", mpi_version() + (starts ? "" : ", no mpirun and no srun"),
                 starts ? "" : "one node alone, by processes of winnow run itself"});
  all.push_back({State::Ok, "HDF5", hdf5_version()});
  all.push_back({State::Ok, "oneDNN", onednn_version()});
}

// Processes of the MPS control daemon serve a folder with its process id.
void find_mps(Findings& all) {
  const char* own = std::getenv("CUDA_MPS_PIPE_DIRECTORY");
  const std::string folder = own != nullptr ? own : "/tmp/nvidia-mps";
  std::ifstream file(folder + "/nvidia-cuda-mps-control.pid");
  pid_t id = 0;
  const bool runs = file >> id && id > 0 && (::kill(id, 0) == 0 || errno == EPERM);
  all.push_back({runs ? State::Ok : State::Missing, "MPS",
                 runs ? fmt::format("the control daemon runs as process {}", id) : "no control daemon at " + folder,
                 runs ? "" : "processes that share a GPU take turns"});
}

void find_cuda_libraries(Findings& all) {
  std::map<std::string, std::string> versions;
  try {
    versions = cuda::libraries().versions();
  } catch (const std::exception& error) {
    all.push_back({State::Missing, "libraries", fmt::format("NVIDIA's cannot be loaded: {}", error.what()),
                   "no trial can be trained on a GPU"});
    return;
  }
  const std::pair<std::string, std::pair<const char*, const char*>> libraries[] = {
      {"cublaslt", {"cuBLASLt", "linear layers are computed by their definition, slowly"}},
      {"cudnn", {"cuDNN", "convolutions are computed by their definition, slowly"}},
      {"nccl", {"NCCL", "gradients of a trial on several GPUs go through the host and MPI"}}};
  for (const auto& [key, said] : libraries) {
    const auto found = versions.find(key);
    const bool linked = found != versions.end();
    all.push_back({linked ? State::Ok : State::Missing, said.first, linked ? found->second : "not linked",
                   linked ? "" : said.second});
  }
}

// Results are published there as a run does it, and leave nothing behind; where a run would make the folder, in what it would
// make it in.
void find_folder(const std::filesystem::path& folder, Findings& all) {
  constexpr int kTries = 10;
  PosixFiles files;
  try {
    std::filesystem::path place = std::filesystem::absolute(folder);
    while (!files.exists(place) && place != place.root_path()) place = place.parent_path();
    if (!files.is_folder(place)) fail(ErrorKind::Input, "{} is a file", place.string());
    const double start = seconds_now();
    for (int i = 0; i < kTries; ++i) files.check_publishing(place);
    const double seconds = (seconds_now() - start) / kTries;
    all.push_back({State::Ok, "files",
                   fmt::format("{}: {}results can be published, in {} each, synced", folder.string(),
                               files.exists(folder) ? "" : "can be made, and ", short_time_text(seconds))});
  } catch (const Error& error) {
    all.push_back({State::Broken, "files", fmt::format("{}: {}", folder.string(), error.what()),
                   "no result can be published there"});
  }
}

void find_gpus(const GpuSurvey& survey, Findings& all) {
  if (!survey.problem.empty()) all.push_back({State::Missing, "GPU", survey.problem, "trials are trained on the CPU"});
  for (std::size_t at = 0; at < survey.gpus.size(); ++at) {
    const Gpu& gpu = survey.gpus[at];
    std::string text = fmt::format("{}, {}, compute capability {}.{}, {}", gpu.name,
                                   bytes_text(static_cast<double>(gpu.memory_bytes)), gpu.major, gpu.minor, gpu.uuid);
    if (survey.gpus.size() > 1) {
      text += gpu.peers.empty() ? ", reaches no other GPU" : fmt::format(", reaches {}", fmt::join(gpu.peers, ", "));
    }
    const bool alone = survey.gpus.size() > 1 && gpu.peers.empty();
    all.push_back({State::Ok, fmt::format("GPU {}", at), text,
                   alone ? "gradients of trials on several GPUs go through the host" : ""});
  }
  if (cuda::survey_gpus == nullptr) return;
  const std::string release = driver_release();
  all.push_back({survey.driver > 0 ? State::Ok : State::Missing, "CUDA",
                 fmt::format("driver {}{}, runtime {}", cuda_version_text(survey.driver),
                             release.empty() ? "" : fmt::format(" ({})", release), cuda_version_text(survey.runtime))});
  find_cuda_libraries(all);
  if (!survey.gpus.empty()) find_mps(all);
}

// Three steps of a network on images made in memory; seconds of the last one.
double train_a_little(const char* network, const std::shared_ptr<DeviceStream>& stream) {
  Settings data, train, method;
  for (const auto& [key, value] : {std::pair{"examples", "96"}, {"test_examples", "16"}, {"validation", "0"}}) {
    data.set(key, value);
  }
  train.set("batch", "32");
  train = resolve(train_schema(), train);
  method.set("name", "dense");
  const std::unique_ptr<Method> dense = make_method(method);
  const std::unique_ptr<Dataset> images =
      find_dataset("synthetic").open(resolve(find_dataset("synthetic").schema, data));
  const ModelDef& model = find_model(network);
  const std::unique_ptr<Communicator> self = make_self();
  TrainObserver observer;
  ProgramCache programs(stream);
  Trainer trainer(
      {.build = [&](std::int64_t batch,
                    DType compute) { return model.build(resolve(model.schema, {}), images->shape(), batch, compute); },
       .method = *dense,
       .data = *images,
       .train = train,
       .seeds = {1, 2, 3, 4, 5},
       .comm = *self,
       .observer = observer,
       .programs = &programs});
  trainer.start_phase(0);
  double seconds = 0, loss = 0;
  for (int step = 0; step < 3; ++step) {
    const double start = seconds_now();
    loss = trainer.train_step().loss;
    seconds = seconds_now() - start;
  }
  if (!std::isfinite(loss) || loss <= 0) fail(ErrorKind::Internal, "the loss is {}", loss);
  return seconds;
}

// True if it could be done.
bool find_training(const std::string& where, std::optional<int> gpu, Findings& all) {
  try {
    // On a GPU one with convolutions: cuDNN loads most of its libraries when it meets the first one.
    const char* network = gpu ? "lenet5" : "lenet300";
    const double seconds = train_a_little(network, gpu ? cuda::open_stream(*gpu) : nullptr);
    all.push_back(
        {State::Ok, "training", fmt::format("works on {}: {} a step of {}", where, short_time_text(seconds), network)});
    return true;
  } catch (const std::exception& error) {
    all.push_back({State::Broken, "training", fmt::format("fails on {}: {}", where, error.what()),
                   gpu ? "no trial can be trained there (train.device: cpu)" : "no trial can be trained"});
    return false;
  }
}

void print(const Findings& all, std::ostream& out) {
  for (const Finding& one : all) {
    out << fmt::format("{:<5} {:<10} {}{}\n", state_text(one.state), one.what, one.found,
                       one.costs.empty() ? "" : ": " + one.costs);
  }
}

nlohmann::ordered_json as_json(const Findings& all, const GpuSurvey& survey, bool can_train) {
  nlohmann::ordered_json json = {{"schema", "winnow-doctor"}, {"schema_version", "1.0"}, {"can_train", can_train}};
  json["findings"] = nlohmann::ordered_json::array();
  for (const Finding& one : all) {
    json["findings"].push_back(
        {{"what", one.what}, {"state", state_text(one.state)}, {"found", one.found}, {"costs", one.costs}});
  }
  json["gpus"] = nlohmann::ordered_json::array();
  for (const Gpu& gpu : survey.gpus) {
    json["gpus"].push_back({{"name", gpu.name},
                            {"uuid", gpu.uuid},
                            {"memory_bytes", gpu.memory_bytes},
                            {"compute_capability", fmt::format("{}.{}", gpu.major, gpu.minor)},
                            {"peers", gpu.peers}});
  }
  return json;
}

}  // namespace

void add_doctor_options(VerbOptions& options) {
  options.add_options()("device", boost::program_options::value<std::string>()->default_value("auto"),
                        "exit code 69 where trials with this train.device cannot be trained: auto, cpu or cuda")(
      "out,o", boost::program_options::value<std::string>(), "also whether results can be published in this folder")(
      "json", "one JSON object");
}

int run_doctor(std::span<const std::string> args, std::ostream& out, std::ostream&) {
  const auto given = parse_arguments("doctor", args, out);
  if (!given) return 0;
  const std::string device = (*given)["device"].as<std::string>();
  if (device != "auto" && device != "cpu" && device != "cuda") {
    fail(ErrorKind::Usage, "--device {}: must be auto, cpu or cuda", device);
  }
  Findings all;
  find_processor(all);
  find_libraries(all);
  if (given->contains("out")) find_folder((*given)["out"].as<std::string>(), all);
  const GpuSurvey survey = survey_gpus();
  find_gpus(survey, all);
  // What decides the exit code is said last.
  bool on_cpu = device == "cpu" || find_training("the CPU", std::nullopt, all);
  bool on_gpus = !survey.gpus.empty();
  for (int at = 0; at < static_cast<int>(survey.gpus.size()); ++at) {
    on_gpus = find_training(fmt::format("GPU {}", at), at, all) && on_gpus;
  }
  if (device == "cpu") on_cpu = find_training("the CPU", std::nullopt, all);
  if (device == "cuda" && survey.gpus.empty()) {
    all.push_back({State::Broken, "training", "does not work on GPUs: " + survey.problem,
                   "winnow run ends with code 69 where train.device is cuda"});
  }
  // auto takes a GPU where there is one.
  const bool can_train = device == "cpu" || (device == "auto" && survey.gpus.empty()) ? on_cpu : on_gpus;
  if (given->contains("json")) {
    out << as_json(all, survey, can_train).dump(2) << "\n";
  } else {
    print(all, out);
  }
  const bool can_publish =
      std::ranges::none_of(all, [](const Finding& one) { return one.what == "files" && one.state == State::Broken; });
  if (can_train && !can_publish) return static_cast<int>(ErrorKind::Io);
  return can_train ? 0 : static_cast<int>(ErrorKind::Unavailable);
}

}  // namespace winnow
