#include "experiments/run/run_trial.h"

#include <algorithm>
#include <array>

#include "core/error.h"
#include "distributed/agree.h"
#include "distributed/dry_run.h"
#include "distributed/ranks_lost.h"
#include "experiments/accounting/accounting.h"
#include "experiments/data/raw_file.h"
#include "experiments/results/trial_file.h"
#include "experiments/run/agreed_wish.h"
#include "experiments/run/provenance.h"
#include "experiments/run/trial_recorder.h"
#include "experiments/run/trial_setup.h"
#include "experiments/run/weight_state.h"
#include "experiments/sweep/identity.h"
#include "kernels/gpu_libraries.h"

namespace winnow {
namespace {

// Zeros of a prunable tensor without a mask are stored as those of a mask are. A zero has no sign then.
void name_zeros(WeightRecord& record) {
  if (record.encoded) return;  // has a code for each of them
  if (!record.prunable || !record.keep.empty() || std::ranges::find(record.values, 0.0f) == record.values.end()) return;
  for (float& value : record.values) {
    record.keep.push_back(value != 0 ? 1 : 0);
    if (value == 0) value = 0;
  }
}

// Everything a file keeps of the present weights. A re-parametrised weight is written as the
// network uses it (merged); scores that only choose a mask are not written.
std::vector<WeightRecord> weight_records(Trainer& trainer) {
  std::map<std::string, const TrainState::LayerWeight*> merged;
  const auto effective = trainer.effective_weights();
  for (const auto& weight : effective) merged[weight.layer] = &weight;
  std::vector<WeightRecord> records;
  const auto add = [&records](WeightRecord record, const std::vector<TensorCut>& kept, std::size_t i) {
    if (i < kept.size() && !kept[i].all()) {
      record.whole = kept[i].whole;
      record.left = kept[i].left;
    }
    records.push_back(std::move(record));
  };
  const ParamStore& params = trainer.params();
  for (std::size_t p = 0; p < params.size(); ++p) {
    const ParamId id{static_cast<std::uint32_t>(p)};
    const ParamSpec& spec = params.specs()[p];
    if (spec.retired || spec.role == ParamRole::Score) continue;
    WeightRecord record{.name = spec.name, .shape = spec.shape, .values = {}};
    const auto values = params.weight(id);
    const auto effect = spec.role == ParamRole::Weight ? merged.find(spec.layer) : merged.end();
    if (effect != merged.end() && effect->second->shape == spec.shape) {
      record.values = effect->second->values;
    } else {
      record.values.assign(values.begin(), values.end());
    }
    const auto keep = params.mask(id, MaskKind::Keep), train = params.mask(id, MaskKind::Trainable);
    record.keep.assign(keep.begin(), keep.end());
    record.train.assign(train.begin(), train.end());
    record.trained = spec.trainable;
    record.prunable = spec.prunable;
    if (const auto own = trainer.encoded().find(id); own != trainer.encoded().end()) record.encoded = own->second;
    name_zeros(record);
    if (!spec.trainable || !train.empty()) record.seeded = params.seeded(id);
    add(std::move(record), trainer.kept().params, p);
  }
  for (std::size_t b = 0; b < params.buffer_count(); ++b) {
    const BufferSpec& spec = trainer.model().buffers[b];
    if (!spec.stored) continue;
    const auto values = trainer.params().buffer(b);
    add({.name = spec.name, .shape = spec.shape, .values = {values.begin(), values.end()}}, trainer.kept().buffers, b);
  }
  return records;
}

// UUIDs of all ranks of the group, by rank. Collective.
std::string uuids_of_group(Communicator& group, const std::string& own) {
  std::vector<std::string> all;
  for (int rank = 0; rank < group.size(); ++rank) {
    std::array<char, 64> text{};
    if (rank == group.rank()) own.copy(text.data(), text.size() - 1);
    group.broadcast(std::as_writable_bytes(std::span(text)), rank);
    all.emplace_back(text.data());
  }
  return fmt::format("{}", fmt::join(all, ", "));
}

void add_provenance(TrialResult& result, const TrialSeeds& seeds, const Dataset& data, const Trainer& trainer,
                    Communicator& group, const RunTrialOptions& options) {
  result.provenance = process_provenance();
  auto& facts = result.provenance;
  facts.merge(device_provenance(options.gpu));
  if (options.gpu) facts["gpu.uuid"] = uuids_of_group(group, facts["gpu.uuid"]);
  facts["command_line"] = options.command_line;
  facts["sweep.text"] = options.sweep_text;
  facts["data.digest"] = data.digest();
  if (!data.remark().empty()) facts["data.remark"] = data.remark();
  facts["precision"] = name_of(trainer.network().compute());
  if (const FusedStatistics& statistics = trainer.fused_statistics(); statistics.norms > 0) {
    facts["statistics.fused"] = fmt::format("{} of {}", statistics.fused, statistics.norms);
  }
  facts["ranks"] = std::to_string(group.size());
  facts["threads"] = std::to_string(options.threads);
  facts["seed.init"] = std::to_string(seeds.init);
  facts["seed.data_order"] = std::to_string(seeds.data_order);
  facts["seed.augment"] = std::to_string(seeds.augment);
  facts["seed.method"] = std::to_string(seeds.method);
  facts["seed.dropout"] = std::to_string(seeds.dropout);
}

// The values of init.from, which stand for all of `model` that `edited` still has: nothing of it is drawn.
std::map<std::string, std::vector<float>> start_values(const TrialSpec& spec, const Model& model, const Model& edited,
                                                       TrialResult& result) {
  std::map<std::string, std::vector<float>> values;
  const std::string given = spec.settings.has("init.from") ? spec.settings.text("init.from") : "";
  if (given.empty()) return values;
  const std::filesystem::path path = expand_path(given);
  PosixFiles files;
  const TrialHeader header = read_header(files, path);
  // The sweep was planned by the file's content. It may have changed since, or be another one where this rank runs.
  const std::string* planned = spec.identity.find("init.from");
  if (planned != nullptr && *planned != given && *planned != header.content_digest) {
    fail(ErrorKind::Input, "init.from: {} is another result than the one that the sweep was planned with",
         path.string());
  }
  result.lineage["start"] = header.name;
  result.lineage["start.digest"] = header.content_digest;
  for (WeightRecord& record : load_weights(path)) {
    if (!record.left.empty()) {
      fail(ErrorKind::Settings, "init.from: {} is a network that lost channels; a start file must have all of them",
           path.string());
    }
    values[record.name] = std::move(record.values);
  }
  for (const ParamSpec& each : model.params) {
    const auto used = std::ranges::find(edited.params, each.name, &ParamSpec::name);
    if (used == edited.params.end() || used->retired || values.contains(each.name)) continue;
    fail(ErrorKind::Settings, "init.from: {} has no tensor '{}'; a start file must have all tensors of the model",
         path.string(), each.name);
  }
  return values;
}

// Memory and programs that the next trial of this worker (a thread that trains one trial after the other) may take over.
struct WorkerPrograms {
  ProgramCache on_cpu, on_gpu;
  std::optional<int> opened;  // the GPU that on_gpu is of
};
WorkerPrograms& own_programs() {
  thread_local WorkerPrograms own;
  return own;
}

ProgramCache& worker_programs(std::optional<int> gpu) {
  auto& [on_cpu, on_gpu, opened] = own_programs();
  if (!gpu) return on_cpu;
  if (opened == gpu) return on_gpu;
  on_gpu.clear();
  opened.reset();
  try {
    on_gpu = ProgramCache(cuda::open_stream(*gpu));
    on_gpu.stream()->wait();
  } catch (const std::exception& error) {
    throw GpuDoesNotStart(ErrorKind::Unavailable, fmt::format("GPU {} does not start: {}", *gpu, error.what()));
  }
  opened = gpu;
  return on_gpu;
}

// After a trial that failed: was it the device?
void end_if_lost(const RunTrialOptions& options, const std::string& reason) {
  if (!options.gpu) return;
  try {
    worker_programs(options.gpu).stream()->wait();
  } catch (const std::exception& error) {
    // A library whose launch met the fault only says that it could not launch: what the GPU itself says is the cause.
    const std::string_view said = error.what();
    const bool told = reason.find(said.substr(said.rfind(": ") + 1)) != std::string::npos;
    throw DeviceLost(ErrorKind::Unavailable,
                     fmt::format("GPU {}: {}{}", *options.gpu, reason, told ? "" : fmt::format("; then {}", said)));
  }
}

// Ranks on several nodes may have other files behind the same path.
void agree_on_data(Communicator& group, const Dataset& data) {
  std::string first = data.digest();
  group.broadcast(std::as_writable_bytes(std::span(first)), 0);
  agree(group, [&] {
    if (first != data.digest()) fail(ErrorKind::Input, "reads other data than rank 0 of the trial");
  });
}

// What one trial needs while it runs, in the order of construction.
struct Bench {
  std::vector<Needed> needed;  // the method looks into it
  std::unique_ptr<Method> method;
  std::unique_ptr<Dataset> data;
  Settings train;
  std::unique_ptr<TrialRecorder> recorder;
  std::unique_ptr<Trainer> trainer;
};

void take_needed(const TrialSpec& spec, const RunTrialOptions& options, Bench& bench, TrialResult& result) {
  bench.needed.reserve(spec.needs.size());
  for (const TrialNeed& need : spec.needs) {
    if (!options.needed) fail(ErrorKind::Internal, "nobody says where the {} {} is", need.role, need.trial);
    const Needed& needed = bench.needed.emplace_back(options.needed(need));
    bench.method->take(needed);
    result.lineage[need.role] = need.trial;
    result.lineage[need.role + ".digest"] = needed.digest;
  }
}

bool stores_weights(const TrialSpec& spec) { return spec.settings.text("save.weights.form") != "none"; }

void keep_start_weights(Bench& bench, TrialResult& result) {
  if (result.spec.settings.text("save.weights.when") != "both" || !stores_weights(result.spec)) return;
  bench.recorder->at_start([&] { result.start_weights = weight_records(*bench.trainer); });
}

// Puts the trial where its newest checkpoint was taken, if there is one. False: what there is does not fit, and what is set
// up is of no use any more. Collective.
bool go_on(Bench& bench, TrialCheckpoints& checkpoints, Communicator& group, TrialResult& result) {
  try {
    std::optional<MemoryState> state = checkpoints.newest();
    if (!state) return true;
    agree(group, [&] {
      PrefixReader run(*state, "run"), start(*state, "start");
      bench.trainer->load(run);
      result.start_weights = restore_weights(start);
      const std::vector<std::string> unread = state->unread();
      if (!unread.empty()) fail(ErrorKind::Input, "it has '{}', which this trial has not", unread.front());
    });
    return true;
  } catch (const Error& error) {  // the same on all ranks
    if (error.kind() != ErrorKind::Input) throw;
    checkpoints.refuse(error.what());
    return false;
  }
}

void keep_checkpoints(Bench& bench, TrialCheckpoints& checkpoints, const TrialResult& result) {
  bench.recorder->on_save([&](const SaveRun& save, Wish wish) {
    const auto save_all = [&](StateWriter& out) {
      PrefixWriter run(out, "run"), start(out, "start");
      save(run);
      save_weights(start, result.start_weights);
    };
    checkpoints.keep(save_all, bench.trainer->step(), wish);
  });
}

bool is_left(const Bench& bench, const RunTrialOptions& options) {
  return options.leave_after && bench.recorder && bench.recorder->has_reached(*options.leave_after);
}

void train(Bench& bench, const Model& dense, const TrialSeeds& seeds, Communicator& group,
           const RunTrialOptions& options, TrialResult& result) {
  Trainer& trainer = *bench.trainer;
  Trainer::Outcome outcome;
  try {
    outcome = trainer.run();
  } catch (const Error& error) {  // at the same step on all ranks
    if (error.kind() != ErrorKind::Stopped || !is_left(bench, options)) throw;
    outcome = trainer.so_far();
    result.outcome = Outcome::Stopped;
    result.summary["stopped.epoch"] = bench.recorder->epochs();
    result.start_weights.clear();  // as all weights, they are in the checkpoint
  }
  if (outcome.diverged) {
    result.outcome = Outcome::Diverged;
    result.reason = fmt::format("a loss, weight or running statistic became infinite or NaN at step {} (lr {})",
                                outcome.step, result.spec.settings.text("train.lr"));
  }
  bench.recorder->finish(result, trainer.length());
  const Accounting counted = account(dense, trainer.network().model(1, Use::Export), trainer.params(),
                                     trainer.effective_weights(), trainer.encoded());
  result.summary.insert(counted.summary.begin(), counted.summary.end());
  result.layers = counted.table;
  result.summary["steps.skipped"] = static_cast<double>(outcome.skipped);
  result.summary["bytes.sent"] = static_cast<double>(outcome.bytes_sent);
  result.summary["bytes.sent_dense"] = static_cast<double>(outcome.bytes_dense);
  result.summary["memory.peak"] = static_cast<double>(trainer.memory_bytes());
  result.summary["ranks"] = group.size();
  Facts facts;
  bench.method->report(trainer, facts);
  for (const auto& [name, value] : facts) result.summary[name] = value;  // methods name theirs "method.*"
  if (stores_weights(result.spec) && result.outcome != Outcome::Stopped) result.weights = weight_records(trainer);
  add_provenance(result, seeds, *bench.data, trainer, group, options);
  result.provenance["phases"] = fmt::format("{}", fmt::join(bench.recorder->phases(), ", "));
}

DryRun plan_on_gpu(const TrialSpec& spec, int ranks) {
  const TrialSetup setup(spec);
  const Settings& train = setup.train();
  const std::unique_ptr<Method> method = setup.method();
  const Network network(setup.build(), *method, train, compute_type(train, Device::Cuda), 1);
  return dry_run(network, *method, train, train.integer("batch") / ranks, train.integer("eval_batch"));
}

// What the trial will hold on its GPU, for a message.
std::string memory_by_plan(const TrialSpec& spec, const Communicator& group) {
  const DryRun plan = plan_on_gpu(spec, group.size());
  const std::size_t pixels = TrialSetup(spec).open_data()->pixel_bytes();
  return fmt::format(
      "the trial is planned with {} bytes: {} for parameters, {} for training, {} for evaluation, {} for batches, "
      "{} for the data set, which stays on the host where there is no room for it",
      plan.total() + pixels, plan.params, plan.arena + plan.scratch, plan.evaluation, plan.batches, pixels);
}

// Sets up with the memory and programs of this worker's last trial, and where a GPU has no room for both without them.
void within_memory(const TrialSpec& spec, const Communicator& group, const RunTrialOptions& options,
                   const std::function<void(ProgramCache&)>& set_up) {
  ProgramCache& programs = worker_programs(options.gpu);
  for (bool alone = programs.is_empty();; alone = true) {
    try {
      return set_up(programs);
    } catch (const DeviceMemoryError& error) {
      programs.clear();  // the next trial may fit
      if (!alone || (options.wait_for_room && options.wait_for_room())) continue;
      fail(ErrorKind::Unavailable, "{}; {}", error.what(), memory_by_plan(spec, group));
    }
  }
}

}  // namespace

void open_gpu(int gpu) { worker_programs(gpu); }
std::size_t planned_gpu_bytes(const TrialSpec& spec) {
  const DryRun plan = plan_on_gpu(spec, 1);
  return plan.total() + plan.workspace;
}
void release_gpu_memory() { own_programs().on_gpu.clear(); }

GroupDevices::~GroupDevices() {
  if (ranks_) programs_->clear();
}

DeviceRanks* GroupDevices::open(Communicator& group, std::optional<int> gpu) {
  if (group.size() == 1 || !gpu || cuda::libraries().nccl == nullptr) return nullptr;
  if (!ranks_) {
    programs_ = &worker_programs(gpu);
    ranks_ = std::make_unique<DeviceRanks>(group, programs_->stream());
    ranks_->before_abort([programs = programs_] { programs->forget_recordings(); });
  }
  return ranks_.get();
}

namespace {

// `no_room`: it failed after it had begun, as the GPU had no more memory.
TrialResult attempt(const TrialSpec& spec, Communicator& group, const RunTrialOptions& options, bool& no_room) {
  TrialResult result;
  result.spec = spec;
  const TrialSeeds seeds = seeds_of(spec);
  Bench bench;
  Model dense;
  DeviceRanks* devices = nullptr;
  std::optional<TrialCheckpoints> checkpoints;
  AgreedWish agreed(group, [&] {
    if (options.stop_requested && options.stop_requested()) return Wish::Stop;
    return checkpoints && checkpoints->due() ? Wish::Save : Wish::GoOn;
  });
  std::function<Wish()> wish = [&] { return is_left(bench, options) ? Wish::Stop : agreed(); };
  if (!options.stop_requested && options.checkpoints == nullptr && !options.leave_after) wish = nullptr;
  const auto set_up = [&](ProgramCache& programs) {
    bench.needed.clear();
    const TrialSetup setup(spec);
    dense = setup.dense();
    bench.method = setup.method();
    take_needed(spec, options, bench, result);
    bench.data = setup.open_data();
    bench.data->read_ahead(options.read_ahead);
    bench.train = setup.train();
    Model edited = setup.edited(*bench.method);
    std::map<std::string, std::vector<float>> start = start_values(spec, dense, edited, result);
    bench.recorder = std::make_unique<TrialRecorder>(spec, dense, std::move(edited), options, wish);
    bench.trainer = std::make_unique<Trainer>(TrainJob{.build = setup.build(),
                                                       .method = *bench.method,
                                                       .data = *bench.data,
                                                       .train = bench.train,
                                                       .seeds = seeds,
                                                       .comm = group,
                                                       .observer = *bench.recorder,
                                                       .threads = options.threads,
                                                       .start = std::move(start),
                                                       .programs = &programs,
                                                       .devices = devices});
    keep_start_weights(bench, result);
  };
  const auto set_up_all = [&] { agree(group, [&] { within_memory(spec, group, options, set_up); }); };
  try {
    if (options.devices != nullptr) devices = options.devices->open(group, options.gpu);
    set_up_all();
    if (options.memory_taken) options.memory_taken();
    agree_on_data(group, *bench.data);
    if (options.checkpoints != nullptr) {
      checkpoints.emplace(*options.checkpoints, spec, group, name_of(bench.trainer->network().compute()));
      if (!go_on(bench, *checkpoints, group, result)) set_up_all();
      keep_checkpoints(bench, *checkpoints, result);
    }
    train(bench, dense, seeds, group, options, result);
    if (checkpoints) result.provenance["attempts"] = fmt::format("{}", fmt::join(checkpoints->attempts(), "; "));
  } catch (const AgreedError& error) {
    if (error.kind() == ErrorKind::Stopped) throw;
    result.outcome = Outcome::Failed;
    result.reason = error.what();
    result.input_unreadable = error.kind() == ErrorKind::Input;
    end_if_lost(options, error.what());
  } catch (const RanksLost&) {  // also of a trial that is alone: of those whom it tells how far it is
    throw;
  } catch (const std::exception& error) {
    // Alone, a trial that fails is a record; in a group the others may be waiting for this rank, so the job must end.
    const auto* known = dynamic_cast<const Error*>(&error);
    if (group.size() > 1 || (known != nullptr && known->kind() == ErrorKind::Stopped)) throw;
    end_if_lost(options, reason_of(error));
    no_room = dynamic_cast<const DeviceMemoryError*>(&error) != nullptr;
    result.input_unreadable = kind_of(error) == ErrorKind::Input;
    result.outcome = Outcome::Failed;
    result.reason = reason_of(error);
  }
  return result;
}

}  // namespace

TrialResult run_trial(const TrialSpec& spec, Communicator& group, const RunTrialOptions& options) {
  while (true) {
    bool no_room = false;
    TrialResult result = attempt(spec, group, options, no_room);
    if (!no_room) return result;
    release_gpu_memory();
    if (!options.wait_for_room || !options.wait_for_room()) return result;
  }
}

}  // namespace winnow
